-- Runs as the wire shows them. Calls that the client has not answered are read only while the run waits.
select
    r.id,
    floor(extract(epoch from r.created_at))::bigint as created_at,
    r.thread_id,
    r.assistant_id,
    r.status,
    r.ended_at is null and r.expires_at <= counterfoil.db_now() as overdue,
    r.error_code,
    r.error_message,
    r.incomplete_reason,
    floor(extract(epoch from r.expires_at))::bigint as expires_at,
    floor(extract(epoch from r.started_at))::bigint as started_at,
    floor(extract(epoch from r.ended_at))::bigint as ended_at,
    r.model,
    r.instructions,
    r.tools,
    r.metadata,
    r.settings,
    r.rounds,
    r.prompt_tokens,
    r.completion_tokens,
    o.ids as open_ids,
    o.names as open_names,
    o.arguments as open_arguments,
    o.key_ids as open_key_ids
from counterfoil.runs as r
inner join counterfoil.threads as t on r.thread_id = t.id
left join lateral (
    select
        array_agg(c.tool_call_id order by c.round, c.index) as ids,
        array_agg(c.tool order by c.round, c.index) as names,
        array_agg(p.bytes order by c.round, c.index) as arguments,
        array_agg(p.key_id order by c.round, c.index) as key_ids
    from counterfoil.tool_calls as c
    inner join counterfoil.payloads as p on c.arguments = p.id
    where
        r.status = 'requires_action'
        and c.run_id = r.id
        and c.executor = 'client'
        and c.settled_at is null
) as o on true
where
    r.id = any(%(ids)s::text [])
    and r.thread_id = coalesce(%(thread_id)s::text, r.thread_id)
    and t.project_id = coalesce(%(project_id)s::text, t.project_id)
    -- A stream that is open goes on to its end.
    and (t.deleted_at is null or %(project_id)s::text is null);
