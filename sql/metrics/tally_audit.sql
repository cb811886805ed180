-- Counts operators' words that nobody has counted yet. The audit's own lock hands out its ids in the order of
-- commits, so none has to wait.
with mark as materialized (
    select m.last_id
    from counterfoil.tally_marks as m
    where m.source = 'audit'
    for update skip locked
),

fresh as materialized (
    select a.*
    from mark as m
    cross join lateral (
        select
x.id,
x.action,
x.object
        from counterfoil.audit as x
        where x.id > m.last_id
        order by x.id
        limit %(most)s::integer
    ) as a
),

added as (
    insert into counterfoil.tallies as t (name, labels, count)
    select
'resolutions' as name,
jsonb_build_array(f.object)::text as labels,
count(*) as count
    from fresh as f
    where f.action = 'resolve_call'
    group by f.object
    order by f.object
    on conflict (name, labels, bucket) do update set count = t.count + excluded.count
),

moved as (
    update counterfoil.tally_marks as m
    set last_id = f.last_id
    from (select max(f.id) as last_id from fresh as f) as f
    where m.source = 'audit' and f.last_id is not null
)

select count(*)::bigint as counted from fresh;
