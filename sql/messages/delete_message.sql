-- A tombstone: its place in the order stays taken. A resent request finds one deleted a short while ago.
update counterfoil.messages as m
set deleted_at = coalesce(m.deleted_at, counterfoil.db_now())
from counterfoil.threads as t
where
    m.id = %(id)s::text
    and m.thread_id = %(thread_id)s::text
    and (
        m.deleted_at is null
        or (%(resent)s::boolean and m.deleted_at > counterfoil.db_now() - interval '15 minutes')
    )
    and t.id = m.thread_id
    and t.project_id = %(project_id)s::text
    and t.deleted_at is null
returning m.id;
