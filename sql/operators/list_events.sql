-- What became of runs, in order; after: the last event that was seen.
select
    e.id,
    e.run_id,
    e.at,
    e.event,
    e.object_id,
    e.data
from counterfoil.run_events as e
where e.run_id = any(%(run_ids)s::text []) and e.id > %(after)s::bigint
order by e.run_id, e.id;
