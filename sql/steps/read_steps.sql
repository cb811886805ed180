select
    s.id,
    floor(extract(epoch from s.created_at))::bigint as created_at,
    r.assistant_id,
    r.thread_id,
    s.run_id,
    s.round,
    s.type,
    s.message_id,
    s.status,
    floor(extract(epoch from s.ended_at))::bigint as ended_at,
    s.prompt_tokens,
    s.completion_tokens,
    r.error_code,
    r.error_message
from counterfoil.steps as s
inner join counterfoil.runs as r on s.run_id = r.id
inner join counterfoil.threads as t on r.thread_id = t.id
where
    s.id = any(%(ids)s::text [])
    and s.run_id = %(run_id)s::text
    and r.thread_id = %(thread_id)s::text
    and t.project_id = %(project_id)s::text
    and t.deleted_at is null;
