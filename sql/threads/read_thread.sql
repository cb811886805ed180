select
    t.id,
    floor(extract(epoch from t.created_at))::bigint as created_at,
    t.metadata
from counterfoil.threads as t
where t.id = %(id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null;
