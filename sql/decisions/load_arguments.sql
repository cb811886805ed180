select
    c.run_id,
    c.tool_call_id,
    p.bytes,
    p.key_id
from unnest(%(run_ids)s::text [], %(tool_call_ids)s::text []) as x (run_id, tool_call_id)
inner join counterfoil.tool_calls as c on x.run_id = c.run_id and x.tool_call_id = c.tool_call_id
inner join counterfoil.payloads as p on c.arguments = p.id;
