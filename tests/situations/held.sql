-- The user clicked again during the spinner: the first run was cancelled while its ticket was in doubt, and
-- the equal call of the second run is held until that is known.

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
    'thread_heldAAAAAAAAAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_heldAAAAAAAAAAAAAAAAAAAA', 'thread_heldAAAAAAAAAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, due_at, epoch
) values (
    'run_heldFirstAAAAAAAAAAAAAAA', 'proj_situations', 'thread_heldAAAAAAAAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_heldFirst', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_heldAAAAAAAAAAAAAAAAAAAA'),
    'cancelled', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_held1AAAAAAAAAAAAAAAAAAA', 'run_heldFirstAAAAAAAAAAAAAAA', 0, 'tool_calls', 'cancelled',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'd108c8c8-b974-4e3a-8935-de6711352865', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_heldFirstAAAAAAAAAAAAAAA', 'call_heldFirst', 'thread_heldAAAAAAAAAAAAAAAAAAAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-held', 'ek-heldFirst', 'd108c8c8-b974-4e3a-8935-de6711352865', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_heldFirstAAAAAAAAAAAAAAA', 'call_heldFirst', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_heldFirstAAAAAAAAAAAAAAA', 'call_heldFirst', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_heldAAAAAAAAAAAAAAAAAAAA', 'proj_situations', 'thread_heldAAAAAAAAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '1 minute', 'corr_held', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_heldAAAAAAAAAAAAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '1 minute', counterfoil.db_now() - interval '1 minute',
    counterfoil.db_now() + interval '10 minutes', 1, counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_held3AAAAAAAAAAAAAAAAAAA', 'run_heldAAAAAAAAAAAAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '3b1c7d5e-8734-4cdb-8a23-933932ce2c5c', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, reason, held_by_run, held_by_call
) values (
    'run_heldAAAAAAAAAAAAAAAAAAAA', 'call_held', 'thread_heldAAAAAAAAAAAAAAAAAAAA', 0, 0, 'create_ticket',
    'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-held', 'ek-held', '3b1c7d5e-8734-4cdb-8a23-933932ce2c5c', 'held',
    counterfoil.db_now() - interval '1 minute', 'equal_call', 'run_heldFirstAAAAAAAAAAAAAAA', 'call_heldFirst'
);
