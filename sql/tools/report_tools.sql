-- What workers loaded from their catalogs, for the operators; a pause is theirs and stays.
insert into counterfoil.tools as t (name, definition, loaded_at, loaded_by)
select
    x.name,
    x.definition::jsonb,
    counterfoil.db_now() as loaded_at,
    %(owner)s::text as loaded_by
from unnest(%(name)s::text [], %(definition)s::text []) as x (name, definition)
order by x.name
on conflict (name) do update
    set definition = excluded.definition, loaded_at = excluded.loaded_at, loaded_by = excluded.loaded_by;
