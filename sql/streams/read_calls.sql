-- The calls of runs from a round on, in call order; an output once the call is answered.
select
    c.run_id,
    c.executor,
    c.round,
    c.tool_call_id,
    c.tool,
    a.bytes as arguments,
    a.key_id as arguments_key_id,
    -- What comes after the run's end changes its steps no more.
    case when least(c.settled_at, c.told_at) <= coalesce(r.ended_at, 'infinity') then o.bytes end as output,
    o.key_id as output_key_id
from unnest(%(ids)s::text [], %(rounds)s::integer []) as x (id, round)
inner join counterfoil.tool_calls as c on x.id = c.run_id
inner join counterfoil.runs as r on c.run_id = r.id
inner join counterfoil.payloads as a on c.arguments = a.id
left join counterfoil.payloads as o on c.output = o.id
where c.round >= x.round
order by c.run_id, c.round, c.index;
