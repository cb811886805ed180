insert into counterfoil.payloads (id, bytes, key_id)
select
    x.id,
    x.bytes,
    x.key_id
from unnest(%(id)s::uuid [], %(bytes)s::bytea [], %(key_id)s::text []) as x (id, bytes, key_id)
-- A batch whose commit was not heard of is sent again.
on conflict (id) do nothing;
