-- Its own statement, before every one that decides: what follows in the transaction sees what is
-- committed now, and nobody else decides until it ends. Without it READ COMMITTED lets a stale epoch through.
select
    r.id,
    r.epoch,
    r.wakes,
    r.status in ('queued', 'in_progress', 'requires_action') as active,
    r.expires_at <= counterfoil.db_now() as expired,
    counterfoil.db_now() as now
from counterfoil.runs as r
where r.id = any(%(ids)s::text [])
order by r.id
for no key update;
