-- For callers who want a run in their own transaction, and for runs whose state a remote service keeps.

create function counterfoil.new_id(prefix text) returns text
language plpgsql volatile as $$
declare
    digits constant text := '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';
    chance constant bytea := sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
    stamp bigint := floor(extract(epoch from clock_timestamp()) * 1000);
    made text := '';
begin
    for place in 1..8 loop
        made := substr(digits, 1 + (stamp % 62)::integer, 1) || made;
        stamp := stamp / 62;
    end loop;
    for place in 0..15 loop
        made := made || substr(digits, 1 + get_byte(chance, place) % 62, 1);
    end loop;
    return prefix || '_' || made;
end $$;
comment on function counterfoil.new_id(text) is
'A prefix and 24 letters and digits that sort by the time of their making, as sql/ids.py makes them.';

create function counterfoil.request_lock(project_id text, idempotency_key text) returns bigint
language sql immutable
return ('x' || encode(substring(sha256(
    int8send(octet_length(convert_to(project_id, 'UTF8'))) || convert_to(project_id, 'UTF8')
    || int8send(octet_length(convert_to(idempotency_key, 'UTF8'))) || convert_to(idempotency_key, 'UTF8')
), 1, 8), 'hex'))::bit(64)::bigint;
comment on function counterfoil.request_lock(text, text) is
'The number that equal keys of a project share, the same as app/api/resend.py takes.';

create function counterfoil.create_run(
    assistant_id text,
    thread_id text default null,
    message text default null,
    idempotency_key text default null,
    metadata jsonb default null,
    expires_in_seconds integer default null
) returns text
language plpgsql volatile
security definer
set search_path = ''
as $$
declare
    assistant counterfoil.assistants;
    thread text := create_run.thread_id;
    run constant text := counterfoil.new_id('run');
    asked constant bytea := sha256(convert_to(jsonb_build_array(
        'sql.create_run', create_run.assistant_id, create_run.thread_id, create_run.message, create_run.metadata,
        create_run.expires_in_seconds
    )::text, 'UTF8'));
    earlier record;
    active text;
begin
    if char_length(create_run.message) not between 1 and 256000 then
        raise exception 'Invalid ''message'': it must have 1 to 256000 characters.'
        using errcode = 'invalid_parameter_value';
    end if;
    if create_run.expires_in_seconds not between 1 and 2592000 then
        raise exception 'Invalid ''expires_in_seconds'': it must be from 1 to 2592000.'
        using errcode = 'invalid_parameter_value';
    end if;
    if char_length(create_run.idempotency_key) not between 1 and 255 then
        raise exception 'Invalid ''idempotency_key'': it must have 1 to 255 characters.'
        using errcode = 'invalid_parameter_value';
    end if;
    if jsonb_typeof(create_run.metadata) != 'object' or (
        select count(*) > 16 or coalesce(bool_or(
            jsonb_typeof(p.value) != 'string' or char_length(p.value #>> '{}') > 512
            or char_length(p.key) not between 1 and 64
        ), false)
        from jsonb_each(case when jsonb_typeof(create_run.metadata) = 'object' then create_run.metadata end) as p
    ) then
        raise exception 'Invalid ''metadata'': at most 16 pairs of strings, keys of 64 and values of 512 characters.'
        using errcode = 'invalid_parameter_value';
    end if;

    select a.* into assistant
    from counterfoil.assistants as a
    where a.id = create_run.assistant_id and a.deleted_at is null;
    if not found then
        raise exception 'No assistant found with id ''%''.', create_run.assistant_id using errcode = 'no_data_found';
    end if;

    if create_run.idempotency_key is not null then
        -- Until the caller's transaction ends: another with this key waits, and then finds what this one made.
        perform pg_advisory_xact_lock(
            counterfoil.request_lock(assistant.project_id, create_run.idempotency_key)
        );
        select q.object_id, q.fingerprint = asked as same into earlier
        from counterfoil.api_requests as q
        where q.project_id = assistant.project_id and q.idempotency_key = create_run.idempotency_key;
        if found and not earlier.same then
            raise exception 'This Idempotency-Key was used with another request.'
            using errcode = 'invalid_parameter_value';
        elsif found then
            return earlier.object_id;
        end if;
    end if;

    if thread is null then
        thread := counterfoil.new_id('thread');
        insert into counterfoil.threads (id, project_id) values (thread, assistant.project_id);
    else
        perform from counterfoil.threads as t
        where t.id = thread and t.project_id = assistant.project_id and t.deleted_at is null
        for no key update;
        if not found then
            raise exception 'No thread found with id ''%''.', thread using errcode = 'no_data_found';
        end if;
    end if;
    select r.id into active
    from counterfoil.runs as r
    where r.thread_id = thread and r.status in ('queued', 'in_progress', 'requires_action');
    if found then
        raise exception 'Thread % already has an active run %.', thread, active using errcode = 'object_in_use';
    end if;

    if create_run.message is not null then
        insert into counterfoil.messages (id, thread_id, role, content, ended_at)
        values (
            counterfoil.new_id('msg'), thread, 'user',
            json_build_array(json_build_object(
                'type', 'text', 'text', json_build_object('value', create_run.message, 'annotations', '[]'::json)
            )),
            counterfoil.db_now()
        );
    end if;
    insert into counterfoil.runs (
        id, project_id, thread_id, assistant_id, correlation_id, ledger, model, instructions, tools, metadata,
        settings, input_seq, expires_at, fixed_expiry, due_at
    ) values (
        run, assistant.project_id, thread, assistant.id, counterfoil.new_id('corr'),
        coalesce((
            select f.value from counterfoil.flags as f
            where
                f.name = 'ledger' and f.scope in (assistant.project_id, '')
                and f.value in ('off', 'observe', 'enforce')
            order by f.scope desc limit 1
        ), 'enforce'),
        assistant.model, assistant.instructions, assistant.tools,
        coalesce(create_run.metadata::json, assistant.metadata),
        json_build_object(
            'temperature', coalesce(assistant.temperature, 1.0),
            'top_p', coalesce(assistant.top_p, 1.0),
            'max_prompt_tokens', null,
            'max_completion_tokens', null,
            'truncation_strategy', '{"type":"auto","last_messages":null}'::json,
            'tool_choice', 'auto',
            'parallel_tool_calls', true,
            'response_format', coalesce(assistant.response_format, '"auto"'::json),
            'reasoning_effort', assistant.reasoning_effort
        ),
        coalesce((select max(m.seq) from counterfoil.messages as m where m.thread_id = thread), 0),
        counterfoil.db_now() + make_interval(secs => coalesce(create_run.expires_in_seconds, 600)),
        create_run.expires_in_seconds is not null,
        counterfoil.db_now()
    );
    if create_run.idempotency_key is not null then
        insert into counterfoil.api_requests (project_id, endpoint, fingerprint, idempotency_key, object_id)
        values (assistant.project_id, 'sql.create_run', asked, create_run.idempotency_key, run);
    end if;
    -- Sent with the caller's commit; workers would find the run without it, only later.
    notify counterfoil;
    return run;
end $$;
comment on function counterfoil.create_run(text, text, text, text, jsonb, integer) is
'Makes a run in the caller''s transaction, as POST /v1/threads/{id}/runs does, and answers its id (docs/sql.md).';
revoke execute on function counterfoil.create_run(text, text, text, text, jsonb, integer) from public;

-- Remote services that keep the run state ----------------------------------------------------------

create table counterfoil.remote_threads (
    run_id text collate "C" primary key references counterfoil.runs (id),
    thread_id text not null,
    created_at timestamptz not null default counterfoil.db_now()
);
comment on table counterfoil.remote_threads is
'Which thread of a remote service a run is on; the remote run itself is found there by its metadata.';
