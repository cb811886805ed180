-- Makes a project of this name where there is none, and an API key of it. Only the key's hash is stored.
with made as (
    insert into counterfoil.projects (id, name)
    values (%(new_project_id)s::text, %(project)s::text)
    on conflict (name) do nothing
    returning id
),

project as (
    select made.id from made
    union all
    select projects.id from counterfoil.projects where projects.name = %(project)s::text
    limit 1
)

insert into counterfoil.api_keys (id, project_id, sha256, hint, expires_at, read_only, per_minute)
select
    %(key_id)s::text,
    project.id,
    %(sha256)s::bytea,
    %(hint)s::text,
    counterfoil.db_now() + make_interval(secs => %(life_s)s::double precision) as expires_at,
    %(read_only)s::boolean,
    %(per_minute)s::integer
from project
returning id
