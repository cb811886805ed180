select
    a.id,
    floor(extract(epoch from a.created_at))::bigint as created_at,
    a.model,
    a.name,
    a.description,
    a.instructions,
    a.tools,
    a.metadata,
    a.temperature,
    a.top_p,
    a.response_format,
    a.reasoning_effort
from counterfoil.assistants as a
where
    a.id = any(%(ids)s::text [])
    and a.project_id = %(project_id)s::text
    and a.deleted_at is null;
