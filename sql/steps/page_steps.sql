-- A page of ids, in the order of the scan: from `above` upwards or from `below` downwards, both excluded.
-- A cursor that is no item of the list yields nothing. Only one half runs, so that each can use the index.
(
    select
        s.id,
        s.seq
    from counterfoil.steps as s
    where
        %(ascending)s::boolean
        and exists (
            select from counterfoil.runs as r
            inner join counterfoil.threads as t on r.thread_id = t.id
            where
                r.id = %(run_id)s::text
                and t.id = %(thread_id)s::text
                and t.project_id = %(project_id)s::text
                and t.deleted_at is null
        )
        and s.run_id = %(run_id)s::text
        and s.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.steps as x
                    where
                        x.id = %(above)s::text
                        and x.run_id = %(run_id)s::text
                )
            end
        )
        and s.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.steps as x
                    where
                        x.id = %(below)s::text
                        and x.run_id = %(run_id)s::text
                )
            end
        )
    order by s.seq
    limit %(count)s::bigint
)
union all
(
    select
        s.id,
        s.seq
    from counterfoil.steps as s
    where
        not %(ascending)s::boolean
        and exists (
            select from counterfoil.runs as r
            inner join counterfoil.threads as t on r.thread_id = t.id
            where
                r.id = %(run_id)s::text
                and t.id = %(thread_id)s::text
                and t.project_id = %(project_id)s::text
                and t.deleted_at is null
        )
        and s.run_id = %(run_id)s::text
        and s.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.steps as x
                    where
                        x.id = %(above)s::text
                        and x.run_id = %(run_id)s::text
                )
            end
        )
        and s.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.steps as x
                    where
                        x.id = %(below)s::text
                        and x.run_id = %(run_id)s::text
                )
            end
        )
    order by s.seq desc
    limit %(count)s::bigint
);
