-- Calls that equal an earlier one of their thread, newest first.
select
    c.run_id,
    c.tool_call_id,
    c.tool,
    c.state,
    c.fingerprint,
    c.external_id,
    c.created_at
from counterfoil.tool_calls as c
where c.suspected_duplicate and c.created_at > counterfoil.db_now() - interval '7 days'
order by c.created_at desc
limit 100;
