-- Proof settles a call whatever was thought of it, and whoever holds the run; a settled one stays as it is.
-- Of a run that has ended without being told, it is an orphan.
update counterfoil.tool_calls as c
set
    state = x.state,
    reason = x.reason,
    output = x.output,
    external_id = coalesce(x.external_id, c.external_id),
    needs_operator_since = null,
    settled_at = counterfoil.db_now(),
    settled_by = x.settled_by,
    orphan_at = case
        when r.ended_at is not null and c.told_at is null and x.state = 'succeeded' then counterfoil.db_now()
    end,
    version = c.version + 1
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(state)s::text [], %(reason)s::text [], %(output)s::uuid [],
    %(external_id)s::text [], %(settled_by)s::text []
) as x (run_id, tool_call_id, state, reason, output, external_id, settled_by)
inner join counterfoil.runs as r on x.run_id = r.id
inner join counterfoil.call_transitions as t on r.ledger = t.ledger and x.state = t.to_state
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id
    and c.state = t.from_state
returning c.run_id, c.tool_call_id;
