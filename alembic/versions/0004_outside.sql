-- What is seen from outside: tallies that /metrics shows, and what an API key may do.

create table counterfoil.tallies (
    name text collate "C" not null,
    labels text collate "C" not null default '[]',
    bucket double precision not null default 'infinity',
    count bigint not null default 0,
    total double precision not null default 0,
    primary key (name, labels, bucket)
);
comment on table counterfoil.tallies is
'Counters and histograms of all processes. labels: a JSON list of values; bucket: its upper bound, infinity for'
' counters and for the last bucket; count: of this bucket alone; total: the sum of what was observed in it.';

create table counterfoil.tally_marks (
    source text collate "C" primary key,
    last_id bigint not null
);
comment on table counterfoil.tally_marks is
'Up to which row each append-only table is in the tallies; its lock makes sure that none is counted twice.';
insert into counterfoil.tally_marks (source, last_id)
select 'run_events' as source, coalesce(max(e.id), 0) as last_id from counterfoil.run_events as e
union all
select 'evidence' as source, coalesce(max(e.id), 0) as last_id from counterfoil.evidence as e
union all
select 'audit' as source, coalesce(max(a.id), 0) as last_id from counterfoil.audit as a;

-- Keys ---------------------------------------------------------------------------------------------

alter table counterfoil.api_keys
add column expires_at timestamptz,
add column read_only boolean not null default false,
add column per_minute integer check (per_minute > 0);
comment on column counterfoil.api_keys.per_minute is
'How many requests a minute the key may make, null for any number; as many at once after a quiet minute.';

create unlogged table counterfoil.key_allowances (
    key_id text collate "C" primary key references counterfoil.api_keys (id) on delete cascade,
    left_over double precision not null,
    at timestamptz not null default counterfoil.db_now()
);
comment on table counterfoil.key_allowances is
'What is left of a limited key''s requests, as of `at`. Unlogged: a crash gives everybody a full minute.';

-- What a model or a client made up as a tool's name may say anything; events name a catalog's tools only.
create or replace function counterfoil.note_new_calls() returns trigger language plpgsql as $$
begin
    insert into counterfoil.run_events (run_id, event, object_id, data)
    select n.run_id, 'call.' || n.state, n.tool_call_id,
        jsonb_strip_nulls(jsonb_build_object('tool', t.name, 'round', n.round, 'reason', n.reason))
    from new_rows as n left join counterfoil.tools as t on t.name = n.tool
    order by n.run_id, n.round, n.index;
    return null;
end $$;
