insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, provider_call_id, tool, executor, repeat, contract, fingerprint,
    effect_key, arguments, state, reason, output, external_id, held_by_run, held_by_call, suspected_duplicate,
    needs_operator_since, settled_at, settled_by
)
select
    x.run_id,
    x.tool_call_id,
    x.thread_id,
    x.round,
    x.index,
    x.provider_call_id,
    x.tool,
    x.executor,
    x.repeat,
    x.contract::jsonb,
    x.fingerprint,
    x.effect_key,
    x.arguments,
    x.state,
    x.reason,
    x.output,
    x.external_id,
    x.held_by_run,
    x.held_by_call,
    x.suspected_duplicate,
    case when x.state = 'needs_operator' then counterfoil.db_now() end as needs_operator_since,
    case when x.state in ('succeeded', 'failed', 'cancelled') then counterfoil.db_now() end as settled_at,
    case when x.state in ('succeeded', 'failed', 'cancelled') then 'coordinator' end as settled_by
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(thread_id)s::text [], %(round)s::integer [], %(index)s::integer [],
    %(provider_call_id)s::text [], %(tool)s::text [], %(executor)s::text [], %(repeat)s::text [], %(contract)s::text [],
    %(fingerprint)s::text [], %(effect_key)s::text [], %(arguments)s::uuid [], %(state)s::text [], %(reason)s::text [],
    %(output)s::uuid [], %(external_id)s::text [], %(held_by_run)s::text [], %(held_by_call)s::text [],
    %(suspected_duplicate)s::boolean []
) as x (
    run_id, tool_call_id, thread_id, round, index, provider_call_id, tool, executor, repeat, contract, fingerprint,
    effect_key, arguments, state, reason, output, external_id, held_by_run, held_by_call, suspected_duplicate
)
order by x.run_id, x.tool_call_id;
