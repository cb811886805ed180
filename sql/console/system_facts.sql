-- What a person asks of the database itself; rows are the planner's estimates.
select
    current_setting('server_version') as version,
    current_database() as name,
    counterfoil.db_now() as now,
    pg_postmaster_start_time() as started_at,
    (select v.version_num from counterfoil.alembic_version as v) as schema,
    pg_database_size(current_database()) as bytes,
    (
        select jsonb_object_agg(c.relname, nullif(c.reltuples, -1)::bigint order by c.relname)
        from pg_catalog.pg_class as c
        inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
        where n.nspname = 'counterfoil' and c.relname in ('runs', 'tool_calls', 'attempts', 'evidence', 'threads', 'messages')
    ) as estimates;
