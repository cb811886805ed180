-- Accepted, in the transaction that makes the object.
insert into counterfoil.api_requests (project_id, endpoint, fingerprint, retry_count, idempotency_key, object_id)
values (
    %(project_id)s::text, %(endpoint)s::text, %(fingerprint)s::bytea, %(retry_count)s::integer,
    %(idempotency_key)s::text, %(object_id)s::text
);
