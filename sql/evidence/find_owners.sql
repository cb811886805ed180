select
    e.tool,
    e.external_id,
    e.run_id,
    e.tool_call_id
from counterfoil.effects as e
inner join unnest(%(tools)s::text [], %(external_ids)s::text []) as x (tool, external_id)
    on e.tool = x.tool and e.external_id = x.external_id;
