-- A page of ids, in the order of the scan: from `above` upwards or from `below` downwards, both excluded.
-- A cursor that is no item of the list yields nothing. Only one half runs, so that each can use the index.
(
    select
        a.id,
        a.seq
    from counterfoil.assistants as a
    where
        %(ascending)s::boolean
        and a.project_id = %(project_id)s::text
        and a.deleted_at is null
        and a.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.assistants as x
                    where
                        x.id = %(above)s::text
                        and x.project_id = %(project_id)s::text
                        and x.deleted_at is null
                )
            end
        )
        and a.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.assistants as x
                    where
                        x.id = %(below)s::text
                        and x.project_id = %(project_id)s::text
                        and x.deleted_at is null
                )
            end
        )
    order by a.seq
    limit %(count)s::bigint
)
union all
(
    select
        a.id,
        a.seq
    from counterfoil.assistants as a
    where
        not %(ascending)s::boolean
        and a.project_id = %(project_id)s::text
        and a.deleted_at is null
        and a.seq > (
            select case
                when %(above)s::text is null then 0
                else (
                    select x.seq from counterfoil.assistants as x
                    where
                        x.id = %(above)s::text
                        and x.project_id = %(project_id)s::text
                        and x.deleted_at is null
                )
            end
        )
        and a.seq < (
            select case
                when %(below)s::text is null then 9223372036854775807
                else (
                    select x.seq from counterfoil.assistants as x
                    where
                        x.id = %(below)s::text
                        and x.project_id = %(project_id)s::text
                        and x.deleted_at is null
                )
            end
        )
    order by a.seq desc
    limit %(count)s::bigint
);
