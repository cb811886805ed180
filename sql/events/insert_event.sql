insert into counterfoil.tool_events (webhook_id, tool, run_id, tool_call_id, result)
values (%(webhook_id)s::text, %(tool)s::text, %(run_id)s::text, %(tool_call_id)s::text, %(result)s::text);
