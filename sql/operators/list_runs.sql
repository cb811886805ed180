-- Runs for people and scripts, newest first, a page at a time. waits_for_client: a call of the client's is
-- open, so that the wire shows `requires_action`.
select
    r.id,
    r.project_id,
    r.thread_id,
    r.assistant_id,
    r.correlation_id,
    r.traceparent,
    r.ledger,
    r.model,
    r.status,
    coalesce((
        select true
        from counterfoil.tool_calls as c
        where c.run_id = r.id and c.executor = 'client' and c.settled_at is null
        limit 1
    ), false) as waits_for_client,
    r.rounds,
    r.error_code,
    r.error_message,
    r.incomplete_reason,
    r.created_at,
    r.started_at,
    r.waiting_since,
    r.ended_at,
    r.expires_at,
    r.due_at,
    r.lease_owner,
    r.lease_until,
    r.epoch,
    r.wakes,
    r.fruitless_claims,
    r.poisoned_at
from counterfoil.runs as r
where
    (%(ids)s::text [] is null or r.id = any(%(ids)s::text []))
    and (%(status)s::text is null or r.status = %(status)s::text)
    and (%(since)s::timestamptz is null or r.created_at >= %(since)s::timestamptz)
    and (%(after)s::text is null or r.id < %(after)s::text)
order by r.id desc
limit %(most)s::integer;
