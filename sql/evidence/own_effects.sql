-- The first call to own an effect keeps it.
insert into counterfoil.effects (tool, external_id, run_id, tool_call_id)
select distinct on (x.tool, x.external_id)
    x.tool,
    x.external_id,
    x.run_id,
    x.tool_call_id
from unnest(
    %(tool)s::text [], %(external_id)s::text [], %(run_id)s::text [], %(tool_call_id)s::text []
) as x (tool, external_id, run_id, tool_call_id)
order by x.tool, x.external_id, x.run_id
on conflict do nothing;
