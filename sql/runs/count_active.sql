-- Active runs of the whole database, counted up to a bound.
select count(*) as active
from (
    select 1
    from counterfoil.runs as r
    where r.status in ('queued', 'in_progress', 'requires_action')
    limit %(bound)s::bigint
) as counted;
