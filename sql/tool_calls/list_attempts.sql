-- The attempts of calls, in order. over_at: when its effect can no longer come about or become visible.
select
    a.run_id,
    a.tool_call_id,
    a.number,
    a.epoch,
    a.owner,
    a.state,
    a.intended_at,
    a.deadline,
    a.closed_at,
    a.reason,
    a.http_status,
    a.external_id,
    a.deadline + make_interval(
        secs => coalesce((c.contract ->> 'completion_s')::double precision, 0)
            + coalesce((c.contract ->> 'settle_s')::double precision, 0)
    ) as over_at
from unnest(%(run_ids)s::text [], %(tool_call_ids)s::text []) as x (run_id, tool_call_id)
inner join counterfoil.tool_calls as c on x.run_id = c.run_id and x.tool_call_id = c.tool_call_id
inner join counterfoil.attempts as a on c.run_id = a.run_id and c.tool_call_id = a.tool_call_id
order by a.run_id, a.tool_call_id, a.number;
