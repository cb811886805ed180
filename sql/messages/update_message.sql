update counterfoil.messages as m
set metadata = coalesce(%(metadata)s::json, m.metadata)
from counterfoil.threads as t
where
    m.id = %(id)s::text
    and m.thread_id = %(thread_id)s::text
    and m.deleted_at is null
    and t.id = m.thread_id
    and t.project_id = %(project_id)s::text
    and t.deleted_at is null;
