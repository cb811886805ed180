-- Where the arguments and outputs of a run's calls lie.
select
    c.tool_call_id,
    c.arguments,
    c.output
from counterfoil.tool_calls as c
where c.run_id = %(run_id)s::text;
