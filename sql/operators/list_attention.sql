-- Why a person should look, and at what: the one place that says so. Each branch reads a partial index.
-- A run that expired while it was stuck is told for a day.
select
    'needs_operator' as attention,
    c.run_id,
    c.tool_call_id,
    c.tool,
    c.reason,
    c.needs_operator_since as since
from counterfoil.tool_calls as c
where
    c.state = 'needs_operator'
    and 'needs_operator' = any(%(kinds)s::text [])
    and (%(run_ids)s::text [] is null or c.run_id = any(%(run_ids)s::text []))
union all
select
    'conflict' as attention,
    c.run_id,
    c.tool_call_id,
    c.tool,
    c.reason,
    c.conflict_at as since
from counterfoil.tool_calls as c
where
    c.conflict_at is not null
    and c.conflict_at > coalesce(c.seen_at, '-infinity')
    and 'conflict' = any(%(kinds)s::text [])
    and (%(run_ids)s::text [] is null or c.run_id = any(%(run_ids)s::text []))
union all
select
    'orphan_effect' as attention,
    c.run_id,
    c.tool_call_id,
    c.tool,
    c.reason,
    c.orphan_at as since
from counterfoil.tool_calls as c
where
    c.orphan_at is not null
    and c.orphan_at > coalesce(c.seen_at, '-infinity')
    and 'orphan_effect' = any(%(kinds)s::text [])
    and (%(run_ids)s::text [] is null or c.run_id = any(%(run_ids)s::text []))
union all
select
    'poisoned' as attention,
    r.id as run_id,
    null as tool_call_id,
    null as tool,
    r.status as reason,
    r.poisoned_at as since
from counterfoil.runs as r
where
    r.poisoned_at is not null
    and 'poisoned' = any(%(kinds)s::text [])
    and (%(run_ids)s::text [] is null or r.id = any(%(run_ids)s::text []))
union all
select
    'stuck' as attention,
    r.id as run_id,
    null as tool_call_id,
    null as tool,
    r.status as reason,
    r.waiting_since as since
from counterfoil.runs as r
where
    r.waiting_since is not null
    and r.waiting_since
    <= least(r.ended_at, counterfoil.db_now()) - make_interval(secs => %(stuck_after_s)s::double precision)
    and (r.ended_at is null or r.ended_at > counterfoil.db_now() - interval '1 day')
    and 'stuck' = any(%(kinds)s::text [])
    and (%(run_ids)s::text [] is null or r.id = any(%(run_ids)s::text []))
order by since
limit %(most)s::integer;
