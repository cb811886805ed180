-- What a call was settled with; null bytes once scrubbed.
select
    p.bytes,
    p.key_id
from counterfoil.tool_calls as c
inner join counterfoil.payloads as p on c.output = p.id
where c.run_id = %(run_id)s::text and c.tool_call_id = %(tool_call_id)s::text;
