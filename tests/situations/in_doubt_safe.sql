-- A read timed out. Reading again does no harm.

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
    'thread_inDoubtSafeAAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_inDoubtSafeAAAAAAAAAAAAA', 'thread_inDoubtSafeAAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_inDoubtSafeAAAAAAAAAAAAA', 'proj_situations', 'thread_inDoubtSafeAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_inDoubtSafe', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_inDoubtSafeAAAAAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_inDoubtSafe1AAAAAAAAAAAA', 'run_inDoubtSafeAAAAAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '6f00fce5-1a78-4659-804f-bb8402b508cb', convert_to('{"ticket_id": "TCK-none"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_inDoubtSafeAAAAAAAAAAAAA', 'call_inDoubtSafe', 'thread_inDoubtSafeAAAAAAAAAAAAA', 0, 0, 'get_ticket',
    'server', 'safe', '{"repeat": "safe", "timeout_s": 2.0, "settle_s": 0.0, "max_attempts": 3}',
    'fp-inDoubtSafe', 'ek-inDoubtSafe', '6f00fce5-1a78-4659-804f-bb8402b508cb', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_inDoubtSafeAAAAAAAAAAAAA', 'call_inDoubtSafe', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_inDoubtSafeAAAAAAAAAAAAA', 'call_inDoubtSafe', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
