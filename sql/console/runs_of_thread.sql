select r.id
from counterfoil.runs as r
where r.thread_id = %(thread_id)s::text
order by r.seq desc
limit %(most)s::integer;
