-- What the newest equal request of the last 15 minutes made, if this is a later try of it.
select
    q.id,
    q.object_id
from counterfoil.api_requests as q
where
    q.fingerprint = %(fingerprint)s::bytea
    and q.retry_count < %(retry_count)s::integer
    and q.idempotency_key is null
    and q.created_at > counterfoil.db_now() - interval '15 minutes'
order by q.id desc
limit 1;
