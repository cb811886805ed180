-- Whether an event came before; tools that share a secret share their events' names.
select e.result
from counterfoil.tool_events as e
where e.webhook_id = %(webhook_id)s::text and e.tool = any(%(tools)s::text []);
