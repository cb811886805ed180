-- Calls for people and scripts, newest run first, a page at a time: `after_…` is where the last page ended.
select
    c.run_id,
    c.tool_call_id,
    c.thread_id,
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
    c.suspected_duplicate,
    c.lookups,
    c.not_before,
    c.created_at,
    c.told_at,
    c.in_doubt_since,
    c.needs_operator_since,
    c.settled_at,
    c.settled_by,
    c.conflict_at,
    c.orphan_at,
    c.seen_at,
    c.version
from counterfoil.tool_calls as c
where
    (%(run_ids)s::text [] is null or c.run_id = any(%(run_ids)s::text []))
    and (%(tool_call_id)s::text is null or c.tool_call_id = %(tool_call_id)s::text)
    and (%(state)s::text is null or c.state = %(state)s::text)
    and (%(tool)s::text is null or c.tool = %(tool)s::text)
    and (%(since)s::timestamptz is null or c.created_at >= %(since)s::timestamptz)
    and (
        %(after_run)s::text is null
        or (c.run_id, c.round, c.index) < (%(after_run)s::text, %(after_round)s::integer, %(after_index)s::integer)
    )
order by c.run_id desc, c.round desc, c.index desc
limit %(most)s::integer;
