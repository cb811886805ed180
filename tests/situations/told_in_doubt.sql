-- The tool says tell_model: the model was told that the outcome of its e-mail is unknown and the run has
-- completed; the ledger still waits for a person.

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
    'thread_toldInDoubtAAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_toldInDoubtAAAAAAAAAAAAA', 'thread_toldInDoubtAAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, epoch
) values (
    'run_toldInDoubtAAAAAAAAAAAAA', 'proj_situations', 'thread_toldInDoubtAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_toldInDoubt', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_toldInDoubtAAAAAAAAAAAAA'),
    'completed', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_toldInDoubt1AAAAAAAAAAAA', 'run_toldInDoubtAAAAAAAAAAAAA', 0, 'tool_calls', 'completed',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '97f97399-36a7-439a-84fa-3f45ba1f94f3',
    convert_to('{"to": "ada@example.com", "subject": "Hello"}', 'UTF8')
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '5fec569d-88e7-4535-83f7-aaa5183e4432',
    convert_to('{"error": {"code": "outcome_unknown", "message": "outcome unknown, being checked, do not repeat"}}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, output, created_at, in_doubt_since, needs_operator_since, reason, told_at
) values (
    'run_toldInDoubtAAAAAAAAAAAAA', 'call_toldInDoubt', 'thread_toldInDoubtAAAAAAAAAAAAA', 0, 0, 'send_email',
    'server', 'never',
    '{"repeat": "never", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "when_in_doubt": "tell_model"}',
    'fp-toldInDoubt', 'ek-toldInDoubt', '97f97399-36a7-439a-84fa-3f45ba1f94f3', 'needs_operator',
    '5fec569d-88e7-4535-83f7-aaa5183e4432', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() - interval '1 minute', 'outcome_unknown',
    counterfoil.db_now() - interval '1 minute'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_toldInDoubtAAAAAAAAAAAAA', 'call_toldInDoubt', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_toldInDoubtAAAAAAAAAAAAA', 'call_toldInDoubt', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
