-- Who did what, why, and what was seen; a trigger chains it to the row before it.
insert into counterfoil.audit (operator, action, run_id, tool_call_id, object, reason, seen)
values (
    %(operator)s::text, %(action)s::text, %(run_id)s::text, %(tool_call_id)s::text, %(object)s::text,
    %(reason)s::text, %(seen)s::jsonb
);
