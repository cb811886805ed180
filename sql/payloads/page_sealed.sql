-- Payloads that another key, or none, has sealed, in order of their ids.
select
    p.id,
    p.bytes,
    p.key_id
from counterfoil.payloads as p
where
    p.bytes is not null
    and p.key_id is distinct from %(key_id)s::text
    and p.id > coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'::uuid)
order by p.id
limit %(max_payloads)s::integer;
