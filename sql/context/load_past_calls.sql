-- Calls of a run and of the earlier ones of its thread, with what was asked and what the model is told.
select
    r.id as for_run_id,
    c.run_id,
    o.seq as run_seq,
    o.input_seq,
    c.round,
    c.index,
    c.tool_call_id,
    c.provider_call_id,
    c.tool,
    a.bytes as arguments,
    a.key_id as arguments_key_id,
    c.output is not null and (c.settled_at is not null or c.told_at is not null) as answered,
    case when c.settled_at is not null or c.told_at is not null then p.bytes end as output,
    p.key_id as output_key_id
from counterfoil.runs as r
inner join counterfoil.tool_calls as c on r.thread_id = c.thread_id
inner join counterfoil.runs as o on c.run_id = o.id
inner join counterfoil.payloads as a on c.arguments = a.id
left join counterfoil.payloads as p on c.output = p.id
where
    r.id = any(%(run_ids)s::text [])
    and o.seq <= r.seq
order by r.id, o.seq, c.round, c.index;
