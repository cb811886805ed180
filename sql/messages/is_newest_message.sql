select not exists (
    select from counterfoil.messages as later
    where later.thread_id = m.thread_id and later.seq > m.seq
) and m.deleted_at is null as newest
from counterfoil.messages as m
where m.id = %(id)s::text;
