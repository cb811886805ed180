select
    a.run_id,
    a.tool_call_id,
    a.number,
    a.state,
    a.intended_at,
    a.deadline,
    a.closed_at,
    a.reason,
    a.external_id
from counterfoil.attempts as a
where a.run_id = any(%(run_ids)s::text [])
order by a.run_id, a.tool_call_id, a.number;
