-- All leases of a worker at once. A locked row is skipped: its holder is deciding, and it is not lost.
with held as (
    select r.id
    from counterfoil.runs as r
    inner join unnest(%(ids)s::text [], %(epochs)s::bigint []) as x (id, epoch) on r.id = x.id and r.epoch = x.epoch
    where r.lease_owner is not null
    for no key update of r skip locked
)

update counterfoil.runs as r
set
    lease_until = counterfoil.db_now() + make_interval(secs => %(lease_s)s::double precision),
    due_at = case
        when r.ended_at is null
            then least(counterfoil.db_now() + make_interval(secs => %(lease_s)s::double precision), r.expires_at)
        else counterfoil.db_now() + make_interval(secs => %(lease_s)s::double precision)
    end
from held as h
where r.id = h.id
returning r.id;
