-- Counts the evidence that nobody has counted yet; see tally_events. `at` of a lookup is the time before it
-- began: a row that no other follows waits longer.
with mark as materialized (
    select m.last_id
    from counterfoil.tally_marks as m
    where m.source = 'evidence'
    for update skip locked
),

ahead as materialized (
    select e.*
    from mark as m
    cross join lateral (
        select
x.id,
x.run_id,
x.tool_call_id,
x.kind,
x.says,
x.at,
x.duration_s
        from counterfoil.evidence as x
        where x.id > m.last_id
        order by x.id
        limit %(most)s::integer
    ) as e
),

bound as (
    select max(a.id) as id
    from ahead as a
    where
        a.at < counterfoil.db_now()
        - make_interval(secs => %(settle_s)s::double precision)
        - case when a.kind = 'lookup' then interval '5 minutes' else interval '0' end
),

fresh as materialized (
    select
a.*,
coalesce(t.name, 'other') as tool,
c.settled_at
    from ahead as a
    inner join counterfoil.tool_calls as c on a.run_id = c.run_id and a.tool_call_id = c.tool_call_id
    left join counterfoil.tools as t on c.tool = t.name
    inner join bound as b on a.id <= b.id
),

observed as (
    select
'execute_tool_duration' as name,
jsonb_build_array(f.tool, f.says)::text as labels,
f.duration_s as value
    from fresh as f
    where f.kind = 'reply' and f.duration_s is not null
    union all
    select
'late_evidence' as name,
jsonb_build_array(f.tool)::text as labels,
0 as value
    from fresh as f
    where f.kind in ('reply', 'event') and f.at > f.settled_at
    union all
    select
'lookups' as name,
jsonb_build_array(f.tool, f.says)::text as labels,
0 as value
    from fresh as f
    where f.kind = 'lookup'
),

bucketed as (
    select
        o.name,
        o.labels,
        coalesce(
            (select min(b) as bucket from unnest(%(buckets)s::double precision []) as b where b >= o.value), 'infinity'
        ) as bucket,
        o.value
    from observed as o
    where o.name = any(%(histograms)s::text [])
    union all
    select
o.name,
o.labels,
'infinity' as bucket,
o.value
    from observed as o
    where o.name != all(%(histograms)s::text [])
),

added as (
    insert into counterfoil.tallies as t (name, labels, bucket, count, total)
    select
b.name,
b.labels,
b.bucket,
count(*) as count,
sum(b.value) as total
    from bucketed as b
    group by b.name, b.labels, b.bucket
    order by b.name, b.labels, b.bucket
    on conflict (name, labels, bucket) do update
        set count = t.count + excluded.count, total = t.total + excluded.total
),

moved as (
    update counterfoil.tally_marks as m
    set last_id = f.last_id
    from (select max(f.id) as last_id from fresh as f) as f
    where m.source = 'evidence' and f.last_id is not null
)

select count(*)::bigint as counted from fresh;
