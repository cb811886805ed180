-- Payloads of runs that have ended and settled get the time at which they go; a run is looked at once.
with done as (
    select
        r.id,
        greatest(r.ended_at, (
            select max(c.settled_at) from counterfoil.tool_calls as c
            where c.run_id = r.id
        )) + make_interval(secs => %(keep_s)s::double precision) as scrub_at
    from counterfoil.runs as r
    where
        r.ended_at is not null
        and not r.scrub_planned
        and not exists (
            select from counterfoil.tool_calls as c
            where c.run_id = r.id and c.settled_at is null
        )
    order by r.ended_at
    limit %(max_runs)s::integer
    for no key update of r skip locked
),

planned as (
    update counterfoil.runs as r
    set scrub_planned = true
    from done as d
    where r.id = d.id
    returning r.id
)

update counterfoil.payloads as p
set scrub_at = greatest(p.scrub_at, d.scrub_at)
from planned as n
inner join done as d on n.id = d.id
inner join lateral (
    select c.arguments as id from counterfoil.tool_calls as c
    where c.run_id = n.id
    union
    select c.output from counterfoil.tool_calls as c
    where c.run_id = n.id and c.output is not null
    union
    select e.body from counterfoil.evidence as e
    where e.run_id = n.id and e.body is not null
) as x on true
where p.id = x.id
returning p.id;
