-- Whether nothing has happened in the thread since this run was made: no other run, no message from outside.
select not exists (
    select from counterfoil.runs as later
    where later.thread_id = r.thread_id and later.seq > r.seq
) and not exists (
    select from counterfoil.messages as m
    where m.thread_id = r.thread_id and m.seq > r.input_seq and m.run_id is null
) as newest
from counterfoil.runs as r
where r.id = %(id)s::text;
