-- An invoice's answer was lost, and the tool remembers its key no longer: sending again might make another
-- one.

insert into counterfoil.projects (
    id, name
) values (
    'proj_situations', 'situations'
) on conflict do nothing;

insert into counterfoil.assistants (
    id, project_id, model
) values (
    'asst_situations', 'proj_situations', 'scripted'
) on conflict do nothing;

insert into counterfoil.threads (
    id, project_id
) values (
    'thread_keyedKeyExpiredAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_keyedKeyExpiredAAAAAAAAA', 'thread_keyedKeyExpiredAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_keyedKeyExpiredAAAAAAAAA', 'proj_situations', 'thread_keyedKeyExpiredAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_keyedKeyExpired', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_keyedKeyExpiredAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_keyedKeyExpired1AAAAAAAA', 'run_keyedKeyExpiredAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '6736de17-109d-44fc-8145-f8ff10085f07', convert_to('{"customer": "acme", "amount_cents": 1200}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_keyedKeyExpiredAAAAAAAAA', 'call_keyedKeyExpired', 'thread_keyedKeyExpiredAAAAAAAAA', 0, 0,
    'create_invoice', 'server', 'keyed',
    '{"repeat": "keyed", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "key_ttl_s": 60.0}',
    'fp-keyedKeyExpired', 'ek-keyedKeyExpired', '6736de17-109d-44fc-8145-f8ff10085f07', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_keyedKeyExpiredAAAAAAAAA', 'call_keyedKeyExpired', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_keyedKeyExpiredAAAAAAAAA', 'call_keyedKeyExpired', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
