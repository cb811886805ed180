-- The one claim. A run that five leases have dropped without a trace is set aside instead (poisoned). Of an ended one
-- nobody settles anything any more: what is in doubt is a person's, in the same moment.
with ordinary as (
    select r.id
    from counterfoil.runs as r
    where r.due_at <= counterfoil.db_now() and r.fruitless_claims < 2
    order by r.due_at
    limit %(max_runs)s::integer
    for no key update skip locked
),

suspect as (
    select r.id
    from counterfoil.runs as r
    where r.due_at <= counterfoil.db_now() and r.fruitless_claims >= 2
    order by r.due_at
    limit %(max_suspects)s::integer
    for no key update skip locked
),

due as (
    select
        c.id,
        c.lease_owner is not null as dropped,
        c.fruitless_claims + (c.lease_owner is not null)::integer as fruitless_claims,
        c.fruitless_claims + (c.lease_owner is not null)::integer >= %(poison_claims)s::integer
        and (c.ended_at is not null or c.expires_at > counterfoil.db_now()) as poisoned,
        c.ended_at is not null and c.ledger != 'off' as ended,
        counterfoil.db_now() + make_interval(secs => %(lease_s)s::double precision) as lease_until
    from counterfoil.runs as c
    where c.id in (
        select o.id from ordinary as o
        union all
        select s.id from suspect as s
    )
),

surrendered as (
    update counterfoil.tool_calls as c
    set
        state = 'needs_operator',
        reason = 'poisoned',
        needs_operator_since = counterfoil.db_now(),
        version = c.version + 1
    where
        -- An array, so that it is an index scan, whatever is thought of how many are due; below too.
        c.run_id = any(array(select d.id from due as d where d.poisoned and d.ended))
        and c.executor = 'server'
        -- `pending`: the model was told of a doubt, all is known to have done nothing, and nobody has said so yet.
        and c.state in ('pending', 'intended', 'accepted', 'in_doubt')
)

update counterfoil.runs as r
set
    epoch = r.epoch + 1,
    lease_owner = case when not d.poisoned then %(owner)s::text end,
    lease_until = case when not d.poisoned then d.lease_until end,
    fruitless_claims = d.fruitless_claims,
    poisoned_at = case when d.poisoned then counterfoil.db_now() else r.poisoned_at end,
    status = case when r.status = 'queued' and not d.poisoned then 'in_progress' else r.status end,
    started_at = case when r.status = 'queued' then coalesce(r.started_at, counterfoil.db_now()) else r.started_at end,
    due_at = case
        when d.poisoned and r.ended_at is null then r.expires_at
        when d.poisoned then null
        when r.ended_at is null and r.expires_at > counterfoil.db_now() then least(d.lease_until, r.expires_at)
        else d.lease_until
    end
from due as d
where r.id = d.id and r.id = any(array(select f.id from due as f))
returning r.id, r.thread_id, r.epoch, d.fruitless_claims, d.poisoned, d.dropped;
