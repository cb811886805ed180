-- An effect that another call owns proves nothing new: this call keeps its verdict, and a person is told.
update counterfoil.tool_calls as c
set
    conflict_at = counterfoil.db_now(),
    version = c.version + 1
from unnest(
    %(tool)s::text [], %(external_id)s::text [], %(run_id)s::text [], %(tool_call_id)s::text []
) as x (tool, external_id, run_id, tool_call_id)
inner join counterfoil.effects as e on x.tool = e.tool and x.external_id = e.external_id
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id
    and (e.run_id, e.tool_call_id) != (c.run_id, c.tool_call_id)
returning c.run_id, c.tool_call_id;
