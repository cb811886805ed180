-- API keys with their projects, oldest first.
select
    api_keys.id,
    projects.name,
    api_keys.hint,
    api_keys.created_at,
    api_keys.last_used_at,
    api_keys.revoked_at,
    api_keys.expires_at,
    api_keys.read_only,
    api_keys.per_minute
from counterfoil.api_keys
inner join counterfoil.projects on api_keys.project_id = projects.id
where %(project)s::text is null or projects.name = %(project)s::text
order by api_keys.created_at, api_keys.id
