-- Counterfoil's database contract.
--
-- A thread holds messages; a run works on a thread, in rounds. Each round asks the model once and may
-- yield tool calls. A call that the server executes gets an attempt, committed before its request is
-- sent: the counterfoil. What comes back, by whatever way, is evidence; attempts move towards knowledge
-- by evidence, and a call's state is the verdict over all its attempts.
--
-- `runs.due_at` is the queue: whatever must happen next to a run, a lease that ends, a deadline, a
-- retry, a reconciliation, comes through the one claim on it. `epoch` fences decisions; `wakes` counts
-- what others have changed that a decision may depend on.
--
-- Locks are taken in one order everywhere: threads, runs, calls, attempts, each by key.
-- Payloads (arguments, outputs, bodies of evidence) lie in `payloads` alone; all else holds ids and
-- fingerprints. Every text key sorts by "C", so that all databases agree on the order of locks.

create function counterfoil.db_now() returns timestamptz
language sql stable parallel safe
return clock_timestamp();
comment on function counterfoil.db_now() is
'The one clock. Declared stable, so that an index can be searched by it; tests replace its body.';

-- Who asks -----------------------------------------------------------------------------------------

create table counterfoil.projects (
    id text collate "C" primary key,
    name text not null unique,
    created_at timestamptz not null default counterfoil.db_now()
);

create table counterfoil.api_keys (
    id text collate "C" primary key,
    project_id text collate "C" not null references counterfoil.projects (id),
    sha256 bytea not null unique,
    hint text not null,
    created_at timestamptz not null default counterfoil.db_now(),
    revoked_at timestamptz,
    last_used_at timestamptz
);
create index api_keys_project on counterfoil.api_keys (project_id);

create table counterfoil.flags (
    name text not null,
    scope text not null default '',
    value text not null,
    updated_at timestamptz not null default counterfoil.db_now(),
    primary key (name, scope)
);
comment on table counterfoil.flags is
'Switches an operator may turn while all runs; scope is a project''s id, or empty for all.';

create table counterfoil.api_requests (
    id bigint generated always as identity primary key,
    project_id text collate "C" not null,
    endpoint text not null,
    fingerprint bytea not null,
    retry_count integer not null default 0,
    idempotency_key text,
    object_id text collate "C" not null,
    created_at timestamptz not null default counterfoil.db_now()
);
comment on table counterfoil.api_requests is
'Accepted creating requests, so that a resent one finds what the first one made.';
create index api_requests_fingerprint on counterfoil.api_requests (fingerprint, id);
create unique index api_requests_key on counterfoil.api_requests (project_id, idempotency_key)
where idempotency_key is not null;
create index api_requests_age on counterfoil.api_requests (created_at);

-- Assistants, threads, messages --------------------------------------------------------------------

create table counterfoil.assistants (
    id text collate "C" primary key,
    seq bigint generated always as identity unique,
    project_id text collate "C" not null references counterfoil.projects (id),
    created_at timestamptz not null default counterfoil.db_now(),
    deleted_at timestamptz,
    model text not null,
    name text,
    description text,
    instructions text,
    tools json not null default '[]',
    metadata json not null default '{}',
    temperature double precision,
    top_p double precision,
    response_format json,
    reasoning_effort text
);
create index assistants_project on counterfoil.assistants (project_id, seq);

create table counterfoil.threads (
    id text collate "C" primary key,
    seq bigint generated always as identity unique,
    project_id text collate "C" not null references counterfoil.projects (id),
    created_at timestamptz not null default counterfoil.db_now(),
    deleted_at timestamptz,
    metadata json not null default '{}'
);
create index threads_project on counterfoil.threads (project_id, seq);

create table counterfoil.runs (
    id text collate "C" primary key,
    seq bigint generated always as identity unique,
    project_id text collate "C" not null references counterfoil.projects (id),
    thread_id text collate "C" not null references counterfoil.threads (id),
    assistant_id text collate "C" not null,
    created_at timestamptz not null default counterfoil.db_now(),
    correlation_id text not null,
    traceparent text,
    ledger text not null default 'enforce' check (ledger in ('off', 'observe', 'enforce')),
    -- what was asked, copied when the run was made
    model text not null,
    instructions text,
    tools json not null default '[]',
    metadata json not null default '{}',
    settings json not null default '{}',
    input_seq bigint not null default 0,
    -- life
    status text not null default 'queued' check (status in (
        'queued', 'in_progress', 'requires_action', 'completed', 'failed', 'incomplete', 'cancelled', 'expired'
    )),
    started_at timestamptz,
    waiting_since timestamptz,
    ended_at timestamptz,
    expires_at timestamptz not null,
    fixed_expiry boolean not null default false,
    error_code text,
    error_message text,
    incomplete_reason text,
    rounds integer not null default 0,
    model_tries integer not null default 0,
    prompt_tokens bigint not null default 0,
    completion_tokens bigint not null default 0,
    -- the queue
    due_at timestamptz,
    lease_owner text,
    lease_until timestamptz,
    epoch bigint not null default 0,
    wakes bigint not null default 0,
    fruitless_claims integer not null default 0,
    poisoned_at timestamptz,
    scrub_planned boolean not null default false,
    constraint lease_is_whole check ((lease_owner is null) = (lease_until is null)),
    constraint active_is_due check (
        status not in ('queued', 'in_progress', 'requires_action') or due_at is not null
    ),
    constraint end_has_a_time check (
        (ended_at is null) = (status in ('queued', 'in_progress', 'requires_action'))
    ),
    constraint waiting_has_a_time check (
        (status = 'requires_action') <= (waiting_since is not null)
        and (waiting_since is null or status in ('requires_action', 'expired'))
    ),
    constraint queued_is_unstarted check (status != 'in_progress' or started_at is not null),
    constraint failure_has_a_code check ((status = 'failed') = (error_code is not null)),
    constraint incomplete_has_a_reason check ((status = 'incomplete') = (incomplete_reason is not null))
) with (fillfactor = 70);
comment on column counterfoil.runs.settings is
'Effective temperature, top_p, token limits, truncation, tool_choice and the like, as the wire shows them.';
comment on column counterfoil.runs.input_seq is
'`messages.seq` of the newest message of the thread when the run was made; 0 for none.';
create unique index runs_one_active on counterfoil.runs (thread_id)
where status in ('queued', 'in_progress', 'requires_action');
create index runs_due on counterfoil.runs (due_at) where due_at is not null;
create index runs_suspect on counterfoil.runs (due_at) where due_at is not null and fruitless_claims >= 2;
create index runs_thread on counterfoil.runs (thread_id, seq);
create index runs_project on counterfoil.runs (project_id, seq);
create index runs_leased on counterfoil.runs (lease_owner) where lease_owner is not null;
create index runs_waiting on counterfoil.runs (waiting_since) where waiting_since is not null;
create index runs_unscrubbed on counterfoil.runs (ended_at) where ended_at is not null and not scrub_planned;
create index runs_poisoned on counterfoil.runs (poisoned_at) where poisoned_at is not null;

create table counterfoil.messages (
    id text collate "C" primary key,
    seq bigint generated always as identity unique,
    thread_id text collate "C" not null references counterfoil.threads (id),
    run_id text collate "C" references counterfoil.runs (id),
    assistant_id text collate "C",
    round integer,
    role text not null check (role in ('user', 'assistant')),
    content json not null,
    pieces integer [] not null default '{}',
    status text not null default 'completed' check (status in ('in_progress', 'completed', 'incomplete')),
    incomplete_reason text,
    created_at timestamptz not null default counterfoil.db_now(),
    ended_at timestamptz,
    deleted_at timestamptz,
    metadata json not null default '{}',
    constraint incomplete_has_a_reason check ((status = 'incomplete') = (incomplete_reason is not null))
);
create index messages_thread on counterfoil.messages (thread_id, seq);
comment on column counterfoil.messages.pieces is
'Lengths in code points of the pieces in which a model spoke the text: the deltas of a stream.';
create index messages_run on counterfoil.messages (run_id, seq) where run_id is not null;
create index messages_spoken on counterfoil.messages (run_id) where status = 'in_progress';

create table counterfoil.steps (
    id text collate "C" primary key,
    seq bigint generated always as identity unique,
    run_id text collate "C" not null references counterfoil.runs (id),
    round integer not null,
    type text not null check (type in ('message_creation', 'tool_calls')),
    message_id text collate "C",
    status text not null check (status in ('in_progress', 'completed', 'failed', 'cancelled', 'expired')),
    created_at timestamptz not null default counterfoil.db_now(),
    ended_at timestamptz,
    prompt_tokens bigint not null default 0,
    completion_tokens bigint not null default 0,
    constraint end_has_a_time check ((status = 'in_progress') = (ended_at is null))
);
create index steps_run on counterfoil.steps (run_id, seq);

-- The ledger ---------------------------------------------------------------------------------------

create table counterfoil.payloads (
    id uuid primary key,
    bytes bytea,
    key_id text,
    scrub_at timestamptz
);
comment on table counterfoil.payloads is
'The only place of tool arguments, outputs and bodies of evidence; bytes is null once scrubbed.';
create index payloads_scrub on counterfoil.payloads (scrub_at) where scrub_at is not null;

create table counterfoil.tool_calls (
    run_id text collate "C" not null references counterfoil.runs (id),
    tool_call_id text collate "C" not null,
    thread_id text collate "C" not null,
    round integer not null,
    index integer not null,
    provider_call_id text,
    tool text collate "C" not null,
    executor text not null check (executor in ('server', 'client')),
    repeat text not null check (repeat in ('safe', 'keyed', 'lookup', 'never')),
    contract jsonb not null default '{}',
    fingerprint text collate "C" not null,
    effect_key text collate "C" not null unique,
    arguments uuid not null references counterfoil.payloads (id),
    state text not null check (state in (
        'pending', 'held', 'intended', 'accepted', 'in_doubt', 'needs_operator', 'succeeded', 'failed', 'cancelled'
    )),
    reason text,
    output uuid references counterfoil.payloads (id),
    external_id text,
    held_by_run text collate "C",
    held_by_call text collate "C",
    suspected_duplicate boolean not null default false,
    not_before timestamptz,
    lookups integer not null default 0,
    created_at timestamptz not null default counterfoil.db_now(),
    told_at timestamptz,
    in_doubt_since timestamptz,
    needs_operator_since timestamptz,
    settled_at timestamptz,
    settled_by text,
    conflict_at timestamptz,
    orphan_at timestamptz,
    seen_at timestamptz,
    version bigint not null default 0,
    primary key (run_id, tool_call_id),
    unique (run_id, round, index),
    constraint settled_has_a_time check (
        (settled_at is null) = (state not in ('succeeded', 'failed', 'cancelled'))
    ),
    constraint success_has_an_output check (state != 'succeeded' or output is not null),
    constraint doubt_has_a_time check (state != 'in_doubt' or in_doubt_since is not null),
    constraint operator_has_a_time check (
        (state = 'needs_operator') = (needs_operator_since is not null)
    ),
    constraint held_has_an_elder check (state != 'held' or held_by_call is not null),
    constraint client_sends_nothing check (
        executor = 'server' or state not in ('intended', 'accepted', 'in_doubt', 'held')
    )
) with (fillfactor = 80);
create index tool_calls_equal on counterfoil.tool_calls (thread_id, tool, fingerprint);
create index tool_calls_unsettled on counterfoil.tool_calls (tool, state, created_at) where settled_at is null;
create index tool_calls_needs_operator on counterfoil.tool_calls (needs_operator_since)
where state = 'needs_operator';
create index tool_calls_conflict on counterfoil.tool_calls (conflict_at) where conflict_at is not null;
create index tool_calls_orphan on counterfoil.tool_calls (orphan_at) where orphan_at is not null;
create index tool_calls_suspected on counterfoil.tool_calls (created_at) where suspected_duplicate;
create index tool_calls_external on counterfoil.tool_calls (external_id) where external_id is not null;

create table counterfoil.attempts (
    run_id text collate "C" not null,
    tool_call_id text collate "C" not null,
    number integer not null check (number > 0),
    epoch bigint not null,
    owner text not null,
    state text not null default 'open' check (state in (
        'open', 'accepted', 'unknown', 'succeeded', 'failed', 'refused', 'not_sent', 'refuted'
    )),
    intended_at timestamptz not null default counterfoil.db_now(),
    deadline timestamptz not null,
    closed_at timestamptz,
    reason text,
    http_status integer,
    external_id text,
    primary key (run_id, tool_call_id, number),
    foreign key (run_id, tool_call_id) references counterfoil.tool_calls (run_id, tool_call_id),
    constraint open_is_not_closed check ((state = 'open') = (closed_at is null))
) with (fillfactor = 80);
create unique index attempts_one_open on counterfoil.attempts (run_id, tool_call_id) where state = 'open';
comment on column counterfoil.attempts.deadline is
'When its request can no longer be under way in our process: intent + send_by + timeout_s + CLOCK_SLACK_S.';

create table counterfoil.evidence (
    id bigint generated always as identity primary key,
    run_id text collate "C" not null,
    tool_call_id text collate "C" not null,
    attempt integer,
    kind text not null check (kind in ('reply', 'lookup', 'event', 'operator')),
    says text not null,
    reason text,
    at timestamptz not null default counterfoil.db_now(),
    source text not null,
    http_status integer,
    external_id text,
    body uuid references counterfoil.payloads (id),
    body_bytes integer,
    duration_s double precision,
    foreign key (run_id, tool_call_id) references counterfoil.tool_calls (run_id, tool_call_id)
);
create index evidence_call on counterfoil.evidence (run_id, tool_call_id, id);
comment on table counterfoil.evidence is
'Anything learnt of a call, append-only. `at` of a lookup is the time before it began.';

create table counterfoil.effects (
    tool text collate "C" not null,
    external_id text collate "C" not null,
    run_id text collate "C" not null,
    tool_call_id text collate "C" not null,
    at timestamptz not null default counterfoil.db_now(),
    primary key (tool, external_id)
);
comment on table counterfoil.effects is 'Which call owns an effect outside: the first one keeps it.';
create index effects_call on counterfoil.effects (run_id, tool_call_id);

create table counterfoil.tool_events (
    webhook_id text not null,
    tool text collate "C" not null,
    run_id text collate "C" not null,
    tool_call_id text collate "C" not null,
    result text not null,
    received_at timestamptz not null default counterfoil.db_now(),
    primary key (tool, webhook_id)
);
comment on table counterfoil.tool_events is
'The inbox of the submission handler: completions from tools, at least once, in any order.';

create table counterfoil.run_events (
    id bigint generated always as identity primary key,
    run_id text collate "C" not null,
    at timestamptz not null default counterfoil.db_now(),
    event text not null,
    object_id text,
    data jsonb not null default '{}'
);
comment on table counterfoil.run_events is
'What became of a run, in order, written by triggers under its row''s lock: ids and words, never payloads.';
create index run_events_run on counterfoil.run_events (run_id, id);

-- Who operates -------------------------------------------------------------------------------------

create table counterfoil.tools (
    name text collate "C" primary key,
    definition jsonb not null default '{}',
    loaded_at timestamptz,
    loaded_by text,
    paused_at timestamptz,
    paused_by text,
    pause_reason text,
    constraint pause_is_whole check ((paused_at is null) = (pause_reason is null))
);
comment on table counterfoil.tools is
'What workers loaded from their catalogs, without secrets, and the kill switch of each tool.';

create table counterfoil.workers (
    owner text collate "C" primary key,
    host text not null,
    pid integer not null,
    slots integer not null,
    started_at timestamptz not null default counterfoil.db_now(),
    seen_at timestamptz not null default counterfoil.db_now(),
    stopped_at timestamptz
);
create index workers_seen on counterfoil.workers (seen_at);

create table counterfoil.audit (
    id bigint primary key,
    at timestamptz not null default counterfoil.db_now(),
    operator text not null,
    action text not null,
    run_id text collate "C",
    tool_call_id text collate "C",
    object text,
    reason text not null,
    seen jsonb not null default '{}',
    previous_hash bytea not null,
    hash bytea not null
);
comment on table counterfoil.audit is
'Every change of an operator''s: who, why, what was seen; each row''s hash covers the one before it.';
create index audit_run on counterfoil.audit (run_id, id) where run_id is not null;

-- The machines -------------------------------------------------------------------------------------

create table counterfoil.run_transitions (
    from_state text, to_state text, primary key (from_state, to_state)
);
create table counterfoil.call_transitions (
    ledger text, from_state text, to_state text, primary key (ledger, from_state, to_state)
);
create table counterfoil.attempt_transitions (
    from_state text, to_state text, primary key (from_state, to_state)
);

create function counterfoil.check_run_transitions() returns trigger language plpgsql as $$
declare wrong record;
begin
    select o.id, o.status as was, n.status as now into wrong
    from old_rows as o join new_rows as n on n.id = o.id
    where o.status != n.status and not exists (
        select 1 from counterfoil.run_transitions as t where t.from_state = o.status and t.to_state = n.status
    ) limit 1;
    if found then
        raise exception 'run % cannot go from % to %', wrong.id, wrong.was, wrong.now
        using errcode = 'check_violation', constraint = 'run_transitions';
    end if;
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.id, 'run.' || n.status, n.id, jsonb_build_object('from', o.status, 'epoch', n.epoch)
    from old_rows as o join new_rows as n on n.id = o.id
    where o.status != n.status order by n.id;
    return null;
end $$;

create function counterfoil.note_new_runs() returns trigger language plpgsql as $$
begin
    insert into counterfoil.run_events (run_id, event, object_id)
    select n.id, 'run.' || n.status, n.id from new_rows as n order by n.id;
    return null;
end $$;

create function counterfoil.check_call_transitions() returns trigger language plpgsql as $$
declare wrong record;
begin
    select o.run_id, o.tool_call_id, o.state as was, n.state as now into wrong
    from old_rows as o
    join new_rows as n on n.run_id = o.run_id and n.tool_call_id = o.tool_call_id
    join counterfoil.runs as r on r.id = n.run_id
    where o.state != n.state and not exists (
        select 1 from counterfoil.call_transitions as t
        where t.ledger = r.ledger and t.from_state = o.state and t.to_state = n.state
    ) limit 1;
    if found then
        raise exception 'call % of run % cannot go from % to %',
        wrong.tool_call_id, wrong.run_id, wrong.was, wrong.now
        using errcode = 'check_violation', constraint = 'call_transitions';
    end if;
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'call.' || n.state, n.tool_call_id,
        jsonb_strip_nulls(jsonb_build_object('from', o.state, 'reason', n.reason))
    from old_rows as o
    join new_rows as n on n.run_id = o.run_id and n.tool_call_id = o.tool_call_id
    where o.state != n.state order by n.run_id, n.round, n.index;
    insert into counterfoil.run_events (run_id, event, object_id)
    select n.run_id, 'call.conflict', n.tool_call_id
    from old_rows as o
    join new_rows as n on n.run_id = o.run_id and n.tool_call_id = o.tool_call_id
    where n.conflict_at is distinct from o.conflict_at and n.conflict_at is not null;
    return null;
end $$;

create function counterfoil.note_new_calls() returns trigger language plpgsql as $$
begin
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'call.' || n.state, n.tool_call_id,
        jsonb_strip_nulls(jsonb_build_object('tool', n.tool, 'round', n.round, 'reason', n.reason))
    from new_rows as n order by n.run_id, n.round, n.index;
    return null;
end $$;

create function counterfoil.check_attempt_transitions() returns trigger language plpgsql as $$
declare wrong record;
begin
    select o.run_id, o.tool_call_id, o.number, o.state as was, n.state as now into wrong
    from old_rows as o
    join new_rows as n
    on n.run_id = o.run_id and n.tool_call_id = o.tool_call_id and n.number = o.number
    where o.state != n.state and not exists (
        select 1 from counterfoil.attempt_transitions as t
        where t.from_state = o.state and t.to_state = n.state
    ) limit 1;
    if found then
        raise exception 'attempt % of call % of run % cannot go from % to %',
        wrong.number, wrong.tool_call_id, wrong.run_id, wrong.was, wrong.now
        using errcode = 'check_violation', constraint = 'attempt_transitions';
    end if;
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'attempt.' || n.state, n.tool_call_id,
        jsonb_strip_nulls(jsonb_build_object('attempt', n.number, 'from', o.state, 'reason', n.reason))
    from old_rows as o
    join new_rows as n
    on n.run_id = o.run_id and n.tool_call_id = o.tool_call_id and n.number = o.number
    where o.state != n.state order by n.run_id, n.tool_call_id, n.number;
    return null;
end $$;

create function counterfoil.note_new_attempts() returns trigger language plpgsql as $$
begin
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'attempt.' || n.state, n.tool_call_id,
        jsonb_build_object('attempt', n.number, 'epoch', n.epoch)
    from new_rows as n order by n.run_id, n.tool_call_id, n.number;
    return null;
end $$;

create function counterfoil.note_messages() returns trigger language plpgsql as $$
begin
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'message.' || n.status, n.id, jsonb_build_object('pieces', cardinality(n.pieces))
    from new_rows as n where n.run_id is not null order by n.run_id, n.seq;
    return null;
end $$;

create trigger messages_noted after insert on counterfoil.messages
referencing new table as new_rows
for each statement execute function counterfoil.note_messages();
create trigger messages_moved after update on counterfoil.messages
referencing new table as new_rows
for each statement execute function counterfoil.note_messages();
create trigger runs_checked after update on counterfoil.runs
referencing old table as old_rows new table as new_rows
for each statement execute function counterfoil.check_run_transitions();
create trigger runs_noted after insert on counterfoil.runs
referencing new table as new_rows
for each statement execute function counterfoil.note_new_runs();
create trigger tool_calls_checked after update on counterfoil.tool_calls
referencing old table as old_rows new table as new_rows
for each statement execute function counterfoil.check_call_transitions();
create trigger tool_calls_noted after insert on counterfoil.tool_calls
referencing new table as new_rows
for each statement execute function counterfoil.note_new_calls();
create trigger attempts_checked after update on counterfoil.attempts
referencing old table as old_rows new table as new_rows
for each statement execute function counterfoil.check_attempt_transitions();
create trigger attempts_noted after insert on counterfoil.attempts
referencing new table as new_rows
for each statement execute function counterfoil.note_new_attempts();

create function counterfoil.refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'check_violation';
end $$;
create trigger run_events_append_only before update on counterfoil.run_events
for each statement execute function counterfoil.refuse_change();
create trigger evidence_append_only before update on counterfoil.evidence
for each statement execute function counterfoil.refuse_change();
create trigger audit_append_only before update or delete on counterfoil.audit
for each statement execute function counterfoil.refuse_change();

create function counterfoil.audit_hash(entry counterfoil.audit) returns bytea
language sql immutable
return sha256(entry.previous_hash || convert_to(jsonb_build_array(
    entry.id, extract(epoch from entry.at), entry.operator, entry.action, entry.run_id,
    entry.tool_call_id, entry.object, entry.reason, entry.seen
)::text, 'UTF8'));

create function counterfoil.chain_audit() returns trigger language plpgsql as $$
declare last record;
begin
    -- One writer at a time, until its commit: otherwise two rows would follow the same one.
    perform pg_advisory_xact_lock(hashtext('counterfoil.audit'));
    select a.id, a.hash into last from counterfoil.audit as a order by a.id desc limit 1;
    new.id := coalesce(last.id, 0) + 1;
    new.previous_hash := coalesce(last.hash, '\x'::bytea);
    new.hash := counterfoil.audit_hash(new);
    return new;
end $$;
create trigger audit_chained before insert on counterfoil.audit
for each row execute function counterfoil.chain_audit();
