-- What a decision makes of calls. A state of null leaves it; what the machine does not list is left as it is.
update counterfoil.tool_calls as c
set
    state = coalesce(x.state, c.state),
    reason = coalesce(x.reason, c.reason),
    output = coalesce(x.output, c.output),
    external_id = coalesce(x.external_id, c.external_id),
    told_at = case when x.told then coalesce(c.told_at, counterfoil.db_now()) else c.told_at end,
    in_doubt_since = case
        when x.state = 'in_doubt' then coalesce(c.in_doubt_since, counterfoil.db_now()) else c.in_doubt_since
    end,
    needs_operator_since = case
        when coalesce(x.state, c.state) = 'needs_operator'
            then coalesce(c.needs_operator_since, counterfoil.db_now())
    end,
    conflict_at = case when x.conflict then counterfoil.db_now() else c.conflict_at end,
    settled_at = case
        when x.state in ('succeeded', 'failed', 'cancelled') then counterfoil.db_now() else c.settled_at
    end,
    settled_by = case
        when x.state in ('succeeded', 'failed', 'cancelled') then 'coordinator' else c.settled_by
    end,
    version = c.version + 1
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(state)s::text [], %(reason)s::text [], %(output)s::uuid [],
    %(external_id)s::text [], %(told)s::boolean [], %(conflict)s::boolean []
) as x (run_id, tool_call_id, state, reason, output, external_id, told, conflict)
inner join counterfoil.runs as r on x.run_id = r.id
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id
    and (
        x.state is null or x.state = c.state
        or exists (
            select from counterfoil.call_transitions as t
            where t.ledger = r.ledger and t.from_state = c.state and t.to_state = x.state
        )
    )
returning c.run_id, c.tool_call_id;
