-- All calls of a run that its client answers, in call order; outputs are what it answered them with.
select
    c.tool_call_id,
    c.round,
    c.settled_at is not null as settled,
    coalesce(c.settled_by = 'client', false) as answered,
    case when c.settled_by = 'client' then p.bytes end as output,
    p.key_id
from counterfoil.tool_calls as c
left join counterfoil.payloads as p on c.output = p.id
where c.run_id = %(run_id)s::text and c.executor = 'client'
order by c.round, c.index;
