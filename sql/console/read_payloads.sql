-- Payloads by id: what an operator must see to know what to look for. length: of all of it.
select
    p.id,
    substring(p.bytes for 20000) as bytes,
    length(p.bytes) as length,
    p.key_id
from counterfoil.payloads as p
where p.id = any(%(ids)s::uuid []);
