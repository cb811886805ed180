-- Leases, those that end first on top: the expired ones.
select
    r.id,
    r.status,
    r.lease_owner,
    r.lease_until,
    r.epoch,
    r.wakes,
    r.fruitless_claims
from counterfoil.runs as r
where r.lease_owner is not null
order by r.lease_until
limit 100;
