-- Who operates the console, how they are told, and the indexes by which the console finds things.

create table counterfoil.users (
    name text collate "C" primary key,
    role text not null check (role in ('viewer', 'operator', 'admin')),
    password_hash text not null,
    created_at timestamptz not null default counterfoil.db_now(),
    changed_at timestamptz not null default counterfoil.db_now()
);
comment on table counterfoil.users is
'Operators: who may use the console, and for what. Hashes are Argon2id. No row, no console.';

create table counterfoil.sessions (
    sha256 bytea primary key,
    user_name text collate "C" not null references counterfoil.users (name) on delete cascade,
    created_at timestamptz not null default counterfoil.db_now(),
    seen_at timestamptz not null default counterfoil.db_now(),
    expires_at timestamptz not null
);
comment on table counterfoil.sessions is
'Logged-in browsers; a session''s token is random and only its SHA-256 is kept.';
create index sessions_user on counterfoil.sessions (user_name);
create index sessions_expiry on counterfoil.sessions (expires_at);

create table counterfoil.login_failures (
    id bigint generated always as identity primary key,
    user_name text collate "C" not null,
    address text not null,
    at timestamptz not null default counterfoil.db_now()
);
create index login_failures_user on counterfoil.login_failures (user_name, at);
create index login_failures_address on counterfoil.login_failures (address, at);
create index login_failures_age on counterfoil.login_failures (at);

-- Someone is told ----------------------------------------------------------------------------------

create table counterfoil.webhook_subscriptions (
    id text collate "C" primary key,
    url text not null,
    secret text not null,
    events text [] not null,
    created_by text not null,
    created_at timestamptz not null default counterfoil.db_now(),
    removed_at timestamptz
);
comment on table counterfoil.webhook_subscriptions is
'Addresses that want to be told, by Standard Webhooks: the secret signs, so it is kept as it is.';

create table counterfoil.webhook_deliveries (
    id text collate "C" primary key default 'msg_' || replace(gen_random_uuid()::text, '-', ''),
    subscription_id text collate "C" not null references counterfoil.webhook_subscriptions (id),
    event text not null,
    run_id text collate "C",
    tool_call_id text collate "C",
    data jsonb not null default '{}',
    at timestamptz not null default counterfoil.db_now(),
    due_at timestamptz default counterfoil.db_now(),
    tries integer not null default 0,
    delivered_at timestamptz,
    last_status integer,
    last_error text,
    constraint delivered_is_done check (delivered_at is null or due_at is null)
);
comment on table counterfoil.webhook_deliveries is
'One notice for one subscription: due until it was answered by 2xx or tried too often. Ids and words only.';
create index webhook_deliveries_due on counterfoil.webhook_deliveries (due_at) where due_at is not null;
create index webhook_deliveries_of on counterfoil.webhook_deliveries (subscription_id, at);

create function counterfoil.note_deliveries() returns trigger language plpgsql as $$
begin
    -- Nearly always there is nobody to tell.
    if not exists (select from counterfoil.webhook_subscriptions as s where s.removed_at is null) then
        return null;
    end if;
    insert into counterfoil.webhook_deliveries (subscription_id, event, run_id, tool_call_id, data, at)
    select s.id, w.word, n.run_id, nullif(n.object_id, n.run_id), n.data || jsonb_build_object('event', n.event), n.at
    from new_rows as n
    cross join lateral (
        select case
            when n.event in ('call.needs_operator', 'call.conflict') then n.event
            when n.event in ('run.completed', 'run.failed', 'run.incomplete', 'run.cancelled', 'run.expired')
                then 'run.ended'
        end as word
    ) as w
    join counterfoil.webhook_subscriptions as s on s.removed_at is null and w.word = any(s.events)
    order by n.id, s.id;
    return null;
end $$;
create trigger run_events_told after insert on counterfoil.run_events
referencing new table as new_rows
for each statement execute function counterfoil.note_deliveries();

-- What the console finds things by -----------------------------------------------------------------

create index runs_ended_badly on counterfoil.runs (status, id)
where status in ('failed', 'incomplete', 'cancelled', 'expired');
-- Runs that wait, and those that lately expired while they waited, without all that ever did.
create index runs_waited on counterfoil.runs (ended_at) where waiting_since is not null;
create index runs_correlation on counterfoil.runs (correlation_id);
create index tool_calls_call on counterfoil.tool_calls (tool_call_id);
create index tool_calls_fingerprint on counterfoil.tool_calls (fingerprint);
create index tool_calls_tool on counterfoil.tool_calls (tool, run_id);
create index evidence_external on counterfoil.evidence (external_id) where external_id is not null;
create index audit_object on counterfoil.audit (object, id) where object is not null;
