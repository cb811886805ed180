-- One call as an operator's word about it needs it; read under the lock of its run. Who spoke of it last,
-- should somebody else have been quicker.
select
    c.run_id,
    c.tool_call_id,
    c.tool,
    c.executor,
    c.repeat,
    c.contract,
    c.state,
    c.reason,
    c.external_id,
    c.told_at is not null as told,
    c.settled_at,
    c.settled_by,
    c.conflict_at > coalesce(c.seen_at, '-infinity') as contested,
    c.orphan_at > coalesce(c.seen_at, '-infinity') as orphaned,
    c.version,
    r.status as run_status,
    r.ledger,
    r.ended_at is not null as ended,
    (
        select e.source
        from counterfoil.evidence as e
        where e.run_id = c.run_id and e.tool_call_id = c.tool_call_id and e.kind = 'operator'
        order by e.id desc
        limit 1
    ) as last_operator,
    counterfoil.db_now() as now
from counterfoil.tool_calls as c
inner join counterfoil.runs as r on c.run_id = r.id
where c.run_id = %(run_id)s::text and c.tool_call_id = %(tool_call_id)s::text;
