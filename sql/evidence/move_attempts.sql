-- Attempts move only towards knowledge; what the machine does not list is left as it is.
update counterfoil.attempts as a
set
    state = x.state,
    closed_at = coalesce(a.closed_at, counterfoil.db_now()),
    reason = coalesce(x.reason, a.reason),
    http_status = coalesce(x.http_status, a.http_status),
    external_id = coalesce(x.external_id, a.external_id)
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(number)s::integer [], %(state)s::text [], %(reason)s::text [],
    %(http_status)s::integer [], %(external_id)s::text []
) as x (run_id, tool_call_id, number, state, reason, http_status, external_id)
inner join counterfoil.attempt_transitions as t on x.state = t.to_state
where
    a.run_id = x.run_id and a.tool_call_id = x.tool_call_id and a.number = x.number
    and a.state = t.from_state
returning a.run_id, a.tool_call_id, a.number;
