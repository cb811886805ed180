-- A person says that it may go on: no mark of poison, a new clock of waiting, due now. A live lease stays.
-- Of an ended run only the marks are taken away.
update counterfoil.runs as r
set
    poisoned_at = null,
    fruitless_claims = 0,
    waiting_since = case when r.status = 'requires_action' then counterfoil.db_now() end,
    wakes = r.wakes + 1,
    due_at = case
        when r.ended_at is not null or r.lease_owner is not null then r.due_at
        else counterfoil.db_now()
    end
where r.id = %(run_id)s::text;
