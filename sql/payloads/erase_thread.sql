-- A thread's words and payloads go now; those of calls that are not settled are needed until they are.
with erased as (
    update counterfoil.messages as m
    set content = '[]', pieces = '{}', metadata = '{}'
    where m.thread_id = %(thread_id)s::text
    returning m.id
),

gone as (
    update counterfoil.payloads as p
    set scrub_at = counterfoil.db_now()
    from (
        select c.arguments as id from counterfoil.tool_calls as c
        where c.thread_id = %(thread_id)s::text and c.settled_at is not null
        union
        select c.output from counterfoil.tool_calls as c
        where c.thread_id = %(thread_id)s::text and c.settled_at is not null and c.output is not null
        union
        select e.body from counterfoil.evidence as e
        inner join counterfoil.tool_calls as c on e.run_id = c.run_id and e.tool_call_id = c.tool_call_id
        where c.thread_id = %(thread_id)s::text and c.settled_at is not null and e.body is not null
    ) as x
    where p.id = x.id and p.bytes is not null
    returning p.id
)

select
    (select count(*) from erased) as messages,
    (select count(*) from gone) as payloads,
    (
        select count(*) from counterfoil.tool_calls as c
        where c.thread_id = %(thread_id)s::text and c.settled_at is null
    ) as unsettled;
