select
    m.id,
    floor(extract(epoch from m.created_at))::bigint as created_at,
    m.thread_id,
    m.role,
    m.content,
    m.status,
    m.incomplete_reason,
    floor(extract(epoch from m.ended_at))::bigint as ended_at,
    m.assistant_id,
    m.run_id,
    m.metadata
from counterfoil.messages as m
inner join counterfoil.threads as t on m.thread_id = t.id
where
    m.id = any(%(ids)s::text [])
    and m.thread_id = %(thread_id)s::text
    and m.deleted_at is null
    and t.project_id = %(project_id)s::text
    and t.deleted_at is null;
