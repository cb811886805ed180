-- Its own statement, before every one that decides: what follows in the transaction sees what is
-- committed now, and nobody else decides until it ends. Without it READ COMMITTED lets a stale epoch through.
-- The time is told once the locks are there, however long that took.
with locked as materialized (
    select
        r.id,
        r.epoch,
        r.wakes,
        r.status,
        r.expires_at
    from counterfoil.runs as r
    where r.id = any(%(ids)s::text [])
    order by r.id
    for no key update
)

select
    l.id,
    l.epoch,
    l.wakes,
    l.status in ('queued', 'in_progress', 'requires_action') as active,
    l.expires_at <= counterfoil.db_now() as expired,
    counterfoil.db_now() as now
from locked as l
order by l.id;
