select t.id
from counterfoil.threads as t
where
    t.id = %(id)s::text
    and t.project_id = %(project_id)s::text
    and t.deleted_at > counterfoil.db_now() - interval '15 minutes';
