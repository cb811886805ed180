update counterfoil.runs as r
set metadata = coalesce(%(metadata)s::json, r.metadata)
from counterfoil.threads as t
where
    r.id = %(id)s::text
    and r.thread_id = %(thread_id)s::text
    and t.id = r.thread_id
    and t.project_id = %(project_id)s::text
    and t.deleted_at is null;
