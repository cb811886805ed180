-- A step of calls is complete when every call is answered: settled, or told to be in doubt.
update counterfoil.steps as s
set
    status = 'completed',
    ended_at = counterfoil.db_now()
where
    s.run_id = any(%(run_ids)s::text [])
    and s.type = 'tool_calls'
    and s.status = 'in_progress'
    and not exists (
        select from counterfoil.tool_calls as c
        where
            c.run_id = s.run_id and c.round = s.round
            and c.settled_at is null and c.told_at is null
    );
