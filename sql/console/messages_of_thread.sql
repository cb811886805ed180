-- A thread's messages, newest first, or those of one run with what the user had said to it.
select
    m.id,
    m.run_id,
    m.role,
    m.content,
    m.status,
    m.created_at,
    m.deleted_at
from counterfoil.messages as m
where
    m.thread_id = %(thread_id)s::text
    and (%(up_to)s::bigint is null or m.seq <= %(up_to)s::bigint)
    and (%(run_id)s::text is null or m.run_id = %(run_id)s::text)
order by m.seq desc
limit %(most)s::integer;
