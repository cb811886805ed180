-- Ends active runs: one more epoch and no lease, so that whoever held it decides nothing more.
-- Due again at once while a request of it may have done something that nobody knows of, or the model was told
-- of a call in doubt that may turn out not to have happened. `cancel_waiting_calls` settles all others.
update counterfoil.runs as r
set
    status = x.status,
    ended_at = counterfoil.db_now(),
    waiting_since = case when x.status = 'expired' then r.waiting_since end,
    error_code = x.error_code,
    error_message = x.error_message,
    incomplete_reason = x.incomplete_reason,
    epoch = r.epoch + 1,
    wakes = r.wakes + 1,
    lease_owner = null,
    lease_until = null,
    fruitless_claims = 0,
    due_at = case
        when exists (
            select from counterfoil.attempts as a
            where a.run_id = r.id and a.state in ('open', 'accepted', 'unknown')
        ) or exists (
            select from counterfoil.tool_calls as c
            where
                c.run_id = r.id and c.settled_at is null
                and c.told_at is not null and c.state != 'needs_operator'
        ) then counterfoil.db_now()
    end
from unnest(
    %(id)s::text [], %(status)s::text [], %(error_code)s::text [], %(error_message)s::text [],
    %(incomplete_reason)s::text []
) as x (id, status, error_code, error_message, incomplete_reason)
inner join counterfoil.run_transitions as t on x.status = t.to_state
where r.id = x.id and r.status = t.from_state
returning r.id;
