-- Calls as steps show them: all of a round, whoever executes them; an output once the call is answered.
select
    c.round,
    c.tool_call_id,
    c.tool,
    a.bytes as arguments,
    a.key_id as arguments_key_id,
    -- What comes after the run's end changes its steps no more.
    case when least(c.settled_at, c.told_at) <= coalesce(r.ended_at, 'infinity') then o.bytes end as output,
    o.key_id as output_key_id
from counterfoil.tool_calls as c
inner join counterfoil.runs as r on c.run_id = r.id
inner join counterfoil.payloads as a on c.arguments = a.id
left join counterfoil.payloads as o on c.output = o.id
where c.run_id = %(run_id)s::text and c.round = any(%(rounds)s::integer [])
order by c.round, c.index;
