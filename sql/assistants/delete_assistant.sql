-- A tombstone, since runs that used it keep its id. A resent request finds one deleted a short while ago.
update counterfoil.assistants as a
set deleted_at = coalesce(a.deleted_at, counterfoil.db_now())
where
    a.id = %(id)s::text
    and a.project_id = %(project_id)s::text
    and (
        a.deleted_at is null
        or (%(resent)s::boolean and a.deleted_at > counterfoil.db_now() - interval '15 minutes')
    )
returning a.id;
