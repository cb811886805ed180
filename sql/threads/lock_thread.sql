-- Whoever makes a run or a message, or deletes the thread, locks it first and then looks again.
select t.id
from counterfoil.threads as t
where t.id = %(id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
for no key update;
