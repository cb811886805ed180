-- The run was cancelled while its ticket was out, and the answer was lost. Ended runs send nothing, but what
-- happened is still looked up.

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
    'thread_endedRunInDoubtAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_endedRunInDoubtAAAAAAAAA', 'thread_endedRunInDoubtAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, due_at, epoch
) values (
    'run_endedRunInDoubtAAAAAAAAA', 'proj_situations', 'thread_endedRunInDoubtAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_endedRunInDoubt', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_endedRunInDoubtAAAAAAAAA'),
    'cancelled', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_endedRunInDoubt1AAAAAAAA', 'run_endedRunInDoubtAAAAAAAAA', 0, 'tool_calls', 'cancelled',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'c0b34a9e-2607-4d24-862d-6e5ace5b231a', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_endedRunInDoubtAAAAAAAAA', 'call_endedRunInDoubt', 'thread_endedRunInDoubtAAAAAAAAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-endedRunInDoubt', 'ek-endedRunInDoubt', 'c0b34a9e-2607-4d24-862d-6e5ace5b231a', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_endedRunInDoubtAAAAAAAAA', 'call_endedRunInDoubt', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_endedRunInDoubtAAAAAAAAA', 'call_endedRunInDoubt', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
