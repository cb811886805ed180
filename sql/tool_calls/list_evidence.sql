-- What was learnt of calls, in order, without the bodies.
select
    e.run_id,
    e.tool_call_id,
    e.attempt,
    e.kind,
    e.says,
    e.reason,
    e.at,
    e.source,
    e.http_status,
    e.external_id
from unnest(%(run_ids)s::text [], %(tool_call_ids)s::text []) as x (run_id, tool_call_id)
inner join counterfoil.evidence as e on x.run_id = e.run_id and x.tool_call_id = e.tool_call_id
order by e.run_id, e.tool_call_id, e.id;
