-- The calls that a decision may turn on: those of the last round, and all that are not settled for good.
select
    c.run_id,
    c.tool_call_id,
    c.round,
    c.index,
    c.tool,
    c.executor,
    c.repeat,
    c.contract,
    c.fingerprint,
    c.effect_key,
    c.state,
    c.reason,
    c.external_id,
    c.held_by_run,
    c.held_by_call,
    c.not_before,
    c.lookups,
    c.told_at is not null as told,
    c.conflict_at is not null as conflicted,
    t.paused_at is not null as paused
from counterfoil.tool_calls as c
inner join counterfoil.runs as r on c.run_id = r.id
left join counterfoil.tools as t on c.tool = t.name
where
    c.run_id = any(%(run_ids)s::text [])
    and (
        c.settled_at is null
        or c.round = r.rounds - 1
        or exists (
            select from counterfoil.attempts as a
            where
                a.run_id = c.run_id and a.tool_call_id = c.tool_call_id
                and a.state in ('open', 'accepted', 'unknown')
        )
    )
order by c.run_id, c.round, c.index;
