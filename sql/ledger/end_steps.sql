-- Open steps of an ended run take its status; a step has no `incomplete`.
update counterfoil.steps as s
set
    status = case when r.status = 'incomplete' then 'completed' else r.status end,
    ended_at = r.ended_at
from counterfoil.runs as r
where
    r.id = any(%(run_ids)s::text [])
    and s.run_id = r.id
    and s.status = 'in_progress'
    and r.ended_at is not null;
