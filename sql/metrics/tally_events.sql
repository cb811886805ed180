-- Counts the run events that nobody has counted yet, once for all processes: the mark's lock says who does.
-- Ids come in the order of inserting and not of committing, so it counts up to a row that is `settle_s` old:
-- no transaction of ours stays open for so long (GUARDS), and none can slip in behind the mark. Tools that no
-- catalog names are `other`: their names are a client's or a model's, and might say anything.
with mark as materialized (
    select m.last_id
    from counterfoil.tally_marks as m
    where m.source = 'run_events'
    for update skip locked
),

ahead as materialized (
    select e.*
    from mark as m
    cross join lateral (
        select
x.id,
x.run_id,
x.at,
x.event,
x.object_id,
x.data
        from counterfoil.run_events as x
        where x.id > m.last_id
        order by x.id
        limit %(most)s::integer
    ) as e
),

fresh as materialized (
    select a.*
    from ahead as a
    where a.id <= (
        select max(x.id) as id
        from ahead as x
        where x.at < counterfoil.db_now() - make_interval(secs => %(settle_s)s::double precision)
    )
),

observed as (
    select
'intents' as name,
'[]' as labels,
0::double precision as value
    from fresh as f
    where f.event = 'attempt.open'
    union all
    select
        'turn_duration' as name,
        jsonb_build_array(r.status)::text as labels,
        extract(epoch from r.ended_at - r.created_at)::double precision as value
    from fresh as f
    inner join counterfoil.runs as r on f.run_id = r.id
    where f.event in ('run.completed', 'run.failed', 'run.incomplete', 'run.cancelled', 'run.expired')
    union all
    select
        'claim_delay' as name,
        '[]' as labels,
        extract(epoch from f.at - r.created_at)::double precision as value
    from fresh as f
    inner join counterfoil.runs as r on f.run_id = r.id
    where f.event = 'run.in_progress' and f.data ->> 'from' = 'queued'
    union all
    select
'conflicts' as name,
'[]' as labels,
0 as value
    from fresh as f
    where f.event = 'call.conflict'
    union all
    select
'doubts' as name,
jsonb_build_array(coalesce(t.name, 'other'))::text as labels,
0 as value
    from fresh as f
    inner join counterfoil.tool_calls as c on f.run_id = c.run_id and f.object_id = c.tool_call_id
    left join counterfoil.tools as t on c.tool = t.name
    where f.event in ('call.in_doubt', 'call.needs_operator') and f.data ->> 'from' in ('intended', 'accepted')
    union all
    select
        'reconcile_duration' as name,
        jsonb_build_array(coalesce(c.settled_by, 'none'))::text as labels,
        extract(epoch from f.at - c.in_doubt_since)::double precision as value
    from fresh as f
    inner join counterfoil.tool_calls as c on f.run_id = c.run_id and f.object_id = c.tool_call_id
    where
        f.event in ('call.succeeded', 'call.failed', 'call.cancelled')
        and f.data ->> 'from' in ('in_doubt', 'needs_operator')
        and c.in_doubt_since is not null
    union all
    select
'duplicates_suspected' as name,
jsonb_build_array(coalesce(t.name, 'other'))::text as labels,
0 as value
    from fresh as f
    inner join counterfoil.tool_calls as c on f.run_id = c.run_id and f.object_id = c.tool_call_id
    left join counterfoil.tools as t on c.tool = t.name
    where f.event like 'call.%%' and f.data ->> 'round' is not null and c.suspected_duplicate
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
    where m.source = 'run_events' and f.last_id is not null
)

select count(*)::bigint as counted from fresh;
