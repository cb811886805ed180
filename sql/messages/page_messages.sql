-- A page of ids, in the order of the scan: from `above` upwards or from `below` downwards, both excluded.
-- A cursor that is no item of the list yields nothing. Only one half runs, so that each can use the index.
(
    select
        m.id,
        m.seq
    from counterfoil.messages as m
    where
        %(ascending)s::boolean
        and exists (
            select from counterfoil.threads as t
            where t.id = %(thread_id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
        )
        and m.thread_id = %(thread_id)s::text
        and m.deleted_at is null
        and (%(run_id)s::text is null or m.run_id = %(run_id)s::text)
        and m.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.messages as x
                    where
                        x.id = %(above)s::text
                        and x.thread_id = %(thread_id)s::text
                        and x.deleted_at is null
                        and (%(run_id)s::text is null or x.run_id = %(run_id)s::text)
                )
            end
        )
        and m.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.messages as x
                    where
                        x.id = %(below)s::text
                        and x.thread_id = %(thread_id)s::text
                        and x.deleted_at is null
                        and (%(run_id)s::text is null or x.run_id = %(run_id)s::text)
                )
            end
        )
    order by m.seq
    limit %(count)s::bigint
)
union all
(
    select
        m.id,
        m.seq
    from counterfoil.messages as m
    where
        not %(ascending)s::boolean
        and exists (
            select from counterfoil.threads as t
            where t.id = %(thread_id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
        )
        and m.thread_id = %(thread_id)s::text
        and m.deleted_at is null
        and (%(run_id)s::text is null or m.run_id = %(run_id)s::text)
        and m.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.messages as x
                    where
                        x.id = %(above)s::text
                        and x.thread_id = %(thread_id)s::text
                        and x.deleted_at is null
                        and (%(run_id)s::text is null or x.run_id = %(run_id)s::text)
                )
            end
        )
        and m.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.messages as x
                    where
                        x.id = %(below)s::text
                        and x.thread_id = %(thread_id)s::text
                        and x.deleted_at is null
                        and (%(run_id)s::text is null or x.run_id = %(run_id)s::text)
                )
            end
        )
    order by m.seq desc
    limit %(count)s::bigint
);
