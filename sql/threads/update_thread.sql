update counterfoil.threads as t
set metadata = coalesce(%(metadata)s::json, t.metadata)
where t.id = %(id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null;
