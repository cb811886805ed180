-- Of ended runs that were set aside nobody settles anything any more: what is in doubt is a person's.
update counterfoil.tool_calls as c
set
    state = 'needs_operator',
    reason = 'poisoned',
    needs_operator_since = counterfoil.db_now(),
    version = c.version + 1
from counterfoil.runs as r
where
    r.id = any(%(run_ids)s::text [])
    and r.ended_at is not null
    and r.ledger != 'off'
    and c.run_id = r.id
    and c.executor = 'server'
    -- `pending`: the model was told of a doubt, all is known to have done nothing, and nobody has said so yet.
    and c.state in ('pending', 'intended', 'accepted', 'in_doubt');
