-- A page of ids, in the order of the scan: from `above` upwards or from `below` downwards, both excluded.
-- A cursor that is no item of the list yields nothing. Only one half runs, so that each can use the index.
(
    select
        r.id,
        r.seq
    from counterfoil.runs as r
    where
        %(ascending)s::boolean
        and exists (
            select from counterfoil.threads as t
            where t.id = %(thread_id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
        )
        and r.thread_id = %(thread_id)s::text
        and r.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.runs as x
                    where
                        x.id = %(above)s::text
                        and x.thread_id = %(thread_id)s::text
                )
            end
        )
        and r.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.runs as x
                    where
                        x.id = %(below)s::text
                        and x.thread_id = %(thread_id)s::text
                )
            end
        )
    order by r.seq
    limit %(count)s::bigint
)
union all
(
    select
        r.id,
        r.seq
    from counterfoil.runs as r
    where
        not %(ascending)s::boolean
        and exists (
            select from counterfoil.threads as t
            where t.id = %(thread_id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
        )
        and r.thread_id = %(thread_id)s::text
        and r.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.runs as x
                    where
                        x.id = %(above)s::text
                        and x.thread_id = %(thread_id)s::text
                )
            end
        )
        and r.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.runs as x
                    where
                        x.id = %(below)s::text
                        and x.thread_id = %(thread_id)s::text
                )
            end
        )
    order by r.seq desc
    limit %(count)s::bigint
);
