-- The active run of a thread, read under the thread's lock.
select
    r.id,
    r.expires_at <= counterfoil.db_now() as overdue
from counterfoil.runs as r
where r.thread_id = %(id)s::text and r.status in ('queued', 'in_progress', 'requires_action');
