-- What a run depends on has changed: count it, and make the run due unless somebody holds it, or it is set aside.
-- Never shortens a live lease. A run whose calls are all answered waits for them no longer.
update counterfoil.runs as r
set
    wakes = r.wakes + 1,
    status = case when a.answered and r.lease_owner is null then 'queued' when a.answered then 'in_progress' else r.status end,
    waiting_since = case when not a.answered then r.waiting_since end,
    fruitless_claims = case when %(fruitful)s::boolean then 0 else r.fruitless_claims end,
    due_at = case when r.lease_owner is null and r.poisoned_at is null then counterfoil.db_now() else r.due_at end
from (
    select
        w.id,
        w.status = 'requires_action' and not exists (
            select from counterfoil.tool_calls as c
            where c.run_id = w.id and c.settled_at is null and c.told_at is null
        ) as answered
    from counterfoil.runs as w
    where w.id = any(%(ids)s::text [])
) as a
where r.id = a.id
returning r.id, r.status, r.wakes;
