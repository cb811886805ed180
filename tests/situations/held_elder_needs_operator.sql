-- Sent twice by an impatient user: of the e-mail of the first run nobody can know, so the equal one of the
-- second run waits for the same person.

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
    'thread_heldElderNeedsOperatorAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_heldElderNeedsOperatorAA', 'thread_heldElderNeedsOperatorAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, epoch
) values (
    'run_heldElderNeedsOperatorFirst', 'proj_situations', 'thread_heldElderNeedsOperatorAA',
    'asst_situations', counterfoil.db_now() - interval '2 minutes', 'corr_heldElderNeedsOperatorFirst',
    'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_heldElderNeedsOperatorAA'),
    'cancelled', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_heldElderNeedsOperator1A', 'run_heldElderNeedsOperatorFirst', 0, 'tool_calls', 'cancelled',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'faeee253-003f-45e1-8428-b701cf5fbb22',
    convert_to('{"to": "ada@example.com", "subject": "Hello"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, needs_operator_since, reason
) values (
    'run_heldElderNeedsOperatorFirst', 'call_heldElderNeedsOperatorFirst', 'thread_heldElderNeedsOperatorAA',
    0, 0, 'send_email', 'server', 'never',
    '{"repeat": "never", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5}', 'fp-heldElderNeedsOperator',
    'ek-heldElderNeedsOperatorFirst', 'faeee253-003f-45e1-8428-b701cf5fbb22', 'needs_operator',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute',
    counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_heldElderNeedsOperatorFirst', 'call_heldElderNeedsOperatorFirst', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_heldElderNeedsOperatorFirst', 'call_heldElderNeedsOperatorFirst', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_heldElderNeedsOperatorAA', 'proj_situations', 'thread_heldElderNeedsOperatorAA', 'asst_situations',
    counterfoil.db_now() - interval '1 minute', 'corr_heldElderNeedsOperator', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_heldElderNeedsOperatorAA'),
    'requires_action', counterfoil.db_now() - interval '1 minute', counterfoil.db_now() - interval '1 minute',
    counterfoil.db_now() + interval '10 minutes', 1, counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_heldElderNeedsOperator3A', 'run_heldElderNeedsOperatorAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'fff16308-624e-4966-88ae-24641b2b9794',
    convert_to('{"to": "ada@example.com", "subject": "Hello"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, reason, held_by_run, held_by_call
) values (
    'run_heldElderNeedsOperatorAA', 'call_heldElderNeedsOperator', 'thread_heldElderNeedsOperatorAA', 0, 0,
    'send_email', 'server', 'never',
    '{"repeat": "never", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5}', 'fp-heldElderNeedsOperator',
    'ek-heldElderNeedsOperator', 'fff16308-624e-4966-88ae-24641b2b9794', 'held',
    counterfoil.db_now() - interval '1 minute', 'equal_call', 'run_heldElderNeedsOperatorFirst',
    'call_heldElderNeedsOperatorFirst'
);
