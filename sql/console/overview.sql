-- The overview's numbers, each from a partial index; counts stop at 10,001.
select
    (
        select min(coalesce(c.in_doubt_since, c.needs_operator_since)) from counterfoil.tool_calls as c
        where c.settled_at is null and c.state in ('in_doubt', 'needs_operator')
    ) as oldest_doubt,
    (
        select count(*) from (
            select 1 from counterfoil.tool_calls as c
            where c.settled_at is null and c.state in ('in_doubt', 'needs_operator', 'accepted') limit 10001
        ) as x
    ) as in_doubt,
    (
        select count(*) from (
            select 1 from counterfoil.runs as r where r.status in ('queued', 'in_progress', 'requires_action') limit 10001
        ) as x
    ) as active,
    (
        select count(*) from (
            select 1 from counterfoil.runs as r where r.lease_owner is not null limit 10001
        ) as x
    ) as leased,
    (
        select count(*) from (
            select 1 from counterfoil.runs as r
            where r.lease_owner is not null and r.lease_until < counterfoil.db_now() limit 10001
        ) as x
    ) as expired_leases,
    (
        select extract(epoch from counterfoil.db_now() - min(r.due_at))::double precision from counterfoil.runs as r
        where r.due_at is not null and r.due_at <= counterfoil.db_now()
    ) as lag_s,
    (
        select count(*) from (
            select 1 from counterfoil.tool_calls as c
            where c.suspected_duplicate and c.created_at > counterfoil.db_now() - interval '1 day' limit 10001
        ) as x
    ) as suspected,
    (
        select count(*) from counterfoil.workers as w
        where w.stopped_at is null and w.seen_at > counterfoil.db_now() - interval '1 minute'
    ) as workers,
    (select count(*) from counterfoil.tools as t where t.paused_at is not null) as paused_tools,
    counterfoil.db_now() as now;
