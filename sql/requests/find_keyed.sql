-- What the request with this key made.
select
    q.id,
    q.object_id,
    q.fingerprint = %(fingerprint)s::bytea as same
from counterfoil.api_requests as q
where q.project_id = %(project_id)s::text and q.idempotency_key = %(idempotency_key)s::text;
