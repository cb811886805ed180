-- What became of runs that a worker holds: another epoch is a lost lease, other wakes are news.
select
    r.id,
    r.epoch,
    r.wakes
from counterfoil.runs as r
where r.id = any(%(ids)s::text []);
