-- Threads, newest first, a page at a time, with their newest run.
select
    t.id,
    t.seq,
    t.project_id,
    t.created_at,
    t.deleted_at,
    r.id as run_id,
    r.status,
    (select count(*) from (select 1 from counterfoil.runs as n where n.thread_id = t.id limit 101) as x) as runs
from counterfoil.threads as t
left join lateral (
    select
        l.id,
        l.status
    from counterfoil.runs as l
    where l.thread_id = t.id
    order by l.seq desc
    limit 1
) as r on true
where
    (%(before)s::bigint is null or t.seq < %(before)s::bigint)
    and (%(id)s::text is null or t.id = %(id)s::text)
order by t.seq desc
limit %(most)s::integer;
