-- Payloads by id: what an operator must see to know what to look for. length: of all of it.
select
    p.id,
    case when p.key_id is null then substring(p.bytes for 20000) else p.bytes end as bytes,
    length(p.bytes) as length,
    p.key_id
from counterfoil.payloads as p
where p.id = any(%(ids)s::uuid []);
