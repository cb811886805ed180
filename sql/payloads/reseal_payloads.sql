-- Only what is still as it was read: a payload that was scrubbed meanwhile stays scrubbed.
update counterfoil.payloads as p
set
    bytes = x.bytes,
    key_id = %(key_id)s::text
from unnest(%(id)s::uuid [], %(bytes)s::bytea [], %(was)s::text []) as x (id, bytes, was)
where p.id = x.id and p.bytes is not null and p.key_id is not distinct from x.was
returning p.id;
