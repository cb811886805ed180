-- Each tool's calls that are open, and of its newest 200 how many were ever in doubt and how long attempts took.
select
    t.name,
    (
        select count(*) from (
            select 1 from counterfoil.tool_calls as c where c.tool = t.name and c.settled_at is null limit 10001
        ) as x
    ) as open,
    n.calls,
    n.doubted,
    n.suspected,
    n.p50_s,
    n.p95_s
from counterfoil.tools as t
left join lateral (
    select
        count(*) as calls,
        count(*) filter (where c.in_doubt_since is not null or exists (
            select from counterfoil.evidence as e
            where e.run_id = c.run_id and e.tool_call_id = c.tool_call_id and e.says = 'unknown'
        )) as doubted,
        count(*) filter (where c.suspected_duplicate) as suspected,
        percentile_cont(0.5) within group (order by extract(epoch from a.closed_at - a.intended_at)) as p50_s,
        percentile_cont(0.95) within group (order by extract(epoch from a.closed_at - a.intended_at)) as p95_s
    from (
        select
            x.run_id,
            x.tool_call_id,
            x.in_doubt_since,
            x.suspected_duplicate
        from counterfoil.tool_calls as x
        where x.tool = t.name
        order by x.run_id desc
        limit 200
    ) as c
    left join counterfoil.attempts as a on c.run_id = a.run_id and c.tool_call_id = a.tool_call_id and a.number = 1
) as n on true
order by t.name;
