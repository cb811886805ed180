-- Calls of an ended run of which nothing can have happened: never sent, sent and known to have done nothing, or
-- waiting for a client that will not be asked any more.
update counterfoil.tool_calls as c
set
    state = 'cancelled',
    reason = 'run_ended',
    needs_operator_since = null,
    settled_at = counterfoil.db_now(),
    settled_by = 'coordinator',
    version = c.version + 1
from counterfoil.runs as r
where
    r.id = any(%(run_ids)s::text [])
    and c.run_id = r.id
    and r.ended_at is not null
    and c.settled_at is null
    and c.told_at is null
    and not exists (
        select from counterfoil.attempts as a
        where
            a.run_id = c.run_id and a.tool_call_id = c.tool_call_id
            and a.state not in ('failed', 'refused', 'not_sent', 'refuted')
    );
