-- The last hour in five-minute pieces: runs made, how they ended, and how long turns took. Ids sort by the time
-- of their making, so the newest ones are the end of the primary key; at most 20,000 are read.
with newest as (
    select
        r.created_at,
        r.status,
        r.ended_at
    from counterfoil.runs as r
    where r.id >= %(from_id)s::text and r.created_at > counterfoil.db_now() - interval '1 hour'
    order by r.id desc
    limit 20000
)

select
    p.number,
    counterfoil.db_now() - p.number * interval '5 minutes' as until,
    count(n.created_at) as made,
    count(*) filter (where n.status = 'completed') as completed,
    count(*) filter (where n.status in ('failed', 'incomplete', 'expired', 'cancelled')) as ended_badly,
    percentile_cont(0.5) within group (order by extract(epoch from n.ended_at - n.created_at))
        filter (where n.status = 'completed') as p50_s,
    percentile_cont(0.95) within group (order by extract(epoch from n.ended_at - n.created_at))
        filter (where n.status = 'completed') as p95_s
from generate_series(0, 11) as p (number)
left join newest as n on p.number = floor(extract(epoch from counterfoil.db_now() - n.created_at) / 300)::integer
group by p.number
order by p.number desc;
