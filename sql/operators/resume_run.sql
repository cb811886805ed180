-- A person says that it may go on: no mark of poison, a new clock of waiting, due now. A live lease stays.
-- Of an ended run only the marks are taken away, unless something of it waits for us and nobody would look.
update counterfoil.runs as r
set
    poisoned_at = null,
    fruitless_claims = 0,
    waiting_since = case when r.status = 'requires_action' then counterfoil.db_now() end,
    wakes = r.wakes + 1,
    due_at = case
        when r.lease_owner is not null then r.due_at
        when r.ended_at is null or exists (
            select from counterfoil.tool_calls as c
            where
                c.run_id = r.id and c.settled_at is null and c.state != 'needs_operator' and c.executor = 'server'
        ) then counterfoil.db_now()
        else r.due_at
    end
where r.id = %(run_id)s::text;
