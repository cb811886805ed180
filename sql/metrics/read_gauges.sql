-- What stands now, each from a partial index: the one place of gauges. label is empty where there is none.
select
'runs' as name,
s.status as label,
count(r.id)::double precision as value
from unnest('{queued,in_progress,requires_action}'::text []) as s (status)
left join counterfoil.runs as r
    on s.status = r.status and r.status in ('queued', 'in_progress', 'requires_action')
group by s.status
union all
select
'calls_in_doubt' as name,
coalesce(t.name, 'other') as label,
count(*)::double precision as value
from counterfoil.tool_calls as c
left join counterfoil.tools as t on c.tool = t.name
where c.settled_at is null and c.state in ('in_doubt', 'needs_operator')
group by coalesce(t.name, 'other')
union all
select
    'calls_in_doubt_oldest_age' as name,
    coalesce(t.name, 'other') as label,
    extract(
        epoch from counterfoil.db_now() - min(coalesce(c.in_doubt_since, c.needs_operator_since))
    )::double precision as value
from counterfoil.tool_calls as c
left join counterfoil.tools as t on c.tool = t.name
where c.settled_at is null and c.state in ('in_doubt', 'needs_operator')
group by coalesce(t.name, 'other')
union all
select
'leases' as name,
l.state as label,
l.value::double precision as value
from (
    select
        count(*) filter (where r.lease_until >= counterfoil.db_now()) as held,
        count(*) filter (where r.lease_until < counterfoil.db_now()) as expired
    from counterfoil.runs as r
    where r.lease_owner is not null
) as n
cross join lateral (values ('held', n.held), ('expired', n.expired)) as l (state, value)
union all
select
    'queue_lag' as name,
    '' as label,
    coalesce(greatest(extract(epoch from counterfoil.db_now() - min(r.due_at)), 0), 0)::double precision as value
from counterfoil.runs as r
where r.due_at is not null and r.due_at <= counterfoil.db_now()
union all
select
'workers' as name,
'' as label,
count(*)::double precision as value
from counterfoil.workers as w
where w.stopped_at is null and w.seen_at > counterfoil.db_now() - interval '1 minute'
union all
select
'tools_paused' as name,
'' as label,
count(*)::double precision as value
from counterfoil.tools as t
where t.paused_at is not null;
