insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source, http_status, external_id, body, body_bytes, duration_s
)
select
    x.run_id,
    x.tool_call_id,
    x.attempt,
    x.kind,
    x.says,
    x.reason,
    coalesce(x.at, counterfoil.db_now()) as at,
    x.source,
    x.http_status,
    x.external_id,
    x.body,
    x.body_bytes,
    x.duration_s
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(attempt)s::integer [], %(kind)s::text [], %(says)s::text [],
    %(reason)s::text [], %(at)s::timestamptz [], %(source)s::text [], %(http_status)s::integer [],
    %(external_id)s::text [], %(body)s::uuid [], %(body_bytes)s::integer [], %(duration_s)s::double precision []
) as x (
    run_id, tool_call_id, attempt, kind, says, reason, at, source, http_status, external_id, body, body_bytes, duration_s
);
