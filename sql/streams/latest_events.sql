-- How far the events of runs have come: another number means that there is something new to show.
select
    x.id,
    coalesce((select max(e.id) from counterfoil.run_events as e where e.run_id = x.id), 0) as latest
from unnest(%(ids)s::text []) as x (id);
