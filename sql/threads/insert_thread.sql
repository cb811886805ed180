insert into counterfoil.threads (id, project_id, metadata)
values (%(id)s::text, %(project_id)s::text, %(metadata)s::json);
