-- A new run, due at once. The ledger's mode is fixed here: the project's flag, else everybody's, else the setting.
insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, correlation_id, traceparent, ledger, model, instructions, tools,
    metadata, settings, input_seq, expires_at, fixed_expiry, due_at
)
values (
    %(id)s::text, %(project_id)s::text, %(thread_id)s::text, %(assistant_id)s::text, %(correlation_id)s::text,
    %(traceparent)s::text,
    coalesce(
        (
            select f.value
            from counterfoil.flags as f
            where
                f.name = 'ledger' and f.scope in (%(project_id)s::text, '')
                and f.value in ('off', 'observe', 'enforce')
            order by f.scope desc
            limit 1
        ),
        %(ledger)s::text
    ),
    %(model)s::text, %(instructions)s::text, %(tools)s::json, %(metadata)s::json, %(settings)s::json,
    coalesce((
        select max(m.seq) from counterfoil.messages as m
        where m.thread_id = %(thread_id)s::text
    ), 0),
    counterfoil.db_now() + make_interval(secs => %(ttl_s)s::float8), %(fixed_expiry)s::boolean,
    counterfoil.db_now()
);
