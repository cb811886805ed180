-- Gives up leases of which nothing is out, so that another worker goes on at once; no mark of poison. Rows are locked
-- in the order in which all lock them.
with given as (
    select g.id
    from counterfoil.runs as g
    inner join unnest(%(ids)s::text [], %(epochs)s::bigint []) as x (id, epoch) on g.id = x.id and g.epoch = x.epoch
    where g.lease_owner is not null
    order by g.id
    for no key update of g
)

update counterfoil.runs as r
set
    lease_owner = null,
    lease_until = null,
    due_at = counterfoil.db_now()
from given
where r.id = given.id
returning r.id;
