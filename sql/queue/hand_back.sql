-- Gives up leases of which nothing is out, so that another worker goes on at once; no mark of poison.
update counterfoil.runs as r
set
    lease_owner = null,
    lease_until = null,
    due_at = counterfoil.db_now()
from unnest(%(ids)s::text [], %(epochs)s::bigint []) as x (id, epoch)
where r.id = x.id and r.epoch = x.epoch and r.lease_owner is not null
returning r.id;
