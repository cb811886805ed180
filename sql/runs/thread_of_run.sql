select r.thread_id
from counterfoil.runs as r
where r.id = %(id)s::text and r.project_id = %(project_id)s::text;
