-- The client's outputs settle its calls.
update counterfoil.tool_calls as c
set
    state = 'succeeded',
    output = x.output,
    settled_at = counterfoil.db_now(),
    settled_by = 'client',
    needs_operator_since = null,
    version = c.version + 1
from unnest(%(ids)s::text [], %(outputs)s::uuid []) as x (id, output)
where
    c.run_id = %(run_id)s::text
    and c.tool_call_id = x.id
    and c.executor = 'client'
    and c.settled_at is null;
