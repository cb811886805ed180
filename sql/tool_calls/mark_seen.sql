-- An operator has looked at what contradicts or outlived a call: no attention until there is newer evidence.
update counterfoil.tool_calls as c
set
    seen_at = counterfoil.db_now(),
    version = c.version + 1
where c.run_id = %(run_id)s::text and c.tool_call_id = %(tool_call_id)s::text;
