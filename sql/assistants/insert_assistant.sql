insert into counterfoil.assistants (
    id, project_id, model, name, description, instructions, tools, metadata, temperature, top_p,
    response_format, reasoning_effort
)
values (
    %(id)s::text, %(project_id)s::text, %(model)s::text, %(title)s::text, %(description)s::text,
    %(instructions)s::text, %(tools)s::json, %(metadata)s::json, %(temperature)s::float8, %(top_p)s::float8,
    %(response_format)s::json, %(reasoning_effort)s::text
);
