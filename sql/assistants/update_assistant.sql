-- Replaces what is given; null leaves a field as it is.
update counterfoil.assistants as a
set
    model = coalesce(%(model)s::text, a.model),
    name = coalesce(%(title)s::text, a.name),
    description = coalesce(%(description)s::text, a.description),
    instructions = coalesce(%(instructions)s::text, a.instructions),
    tools = coalesce(%(tools)s::json, a.tools),
    metadata = coalesce(%(metadata)s::json, a.metadata),
    temperature = coalesce(%(temperature)s::float8, a.temperature),
    top_p = coalesce(%(top_p)s::float8, a.top_p),
    response_format = coalesce(%(response_format)s::json, a.response_format),
    reasoning_effort = coalesce(%(reasoning_effort)s::text, a.reasoning_effort)
where a.id = %(id)s::text and a.project_id = %(project_id)s::text and a.deleted_at is null;
