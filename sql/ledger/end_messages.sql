-- A message that the run was still writing keeps its text so far.
update counterfoil.messages as m
set
    status = 'incomplete',
    incomplete_reason = 'run_' || r.status,
    ended_at = r.ended_at
from counterfoil.runs as r
where
    r.id = any(%(run_ids)s::text [])
    and m.run_id = r.id
    and m.status = 'in_progress'
    and r.status in ('failed', 'cancelled', 'expired');
