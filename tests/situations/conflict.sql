-- Two attempts at one e-mail: both have happened, as a late reply proves. The verdict stands; a person must
-- know.

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
    'thread_conflictAAAAAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_conflictAAAAAAAAAAAAAAAA', 'thread_conflictAAAAAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, epoch
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'proj_situations', 'thread_conflictAAAAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_conflict', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_conflictAAAAAAAAAAAAAAAA'),
    'completed', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_conflict1AAAAAAAAAAAAAAA', 'run_conflictAAAAAAAAAAAAAAAA', 0, 'tool_calls', 'completed',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'c34e9903-7413-4c51-8f98-3a9ea0d8c1f9',
    convert_to('{"to": "ada@example.com", "subject": "Hello"}', 'UTF8')
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '42fa0ec8-0d75-482f-8618-87ae7c9a676d', convert_to('{"message_id": "MSG-2"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, output, created_at, settled_at, settled_by, external_id, conflict_at
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict', 'thread_conflictAAAAAAAAAAAAAAAA', 0, 0, 'send_email',
    'server', 'never', '{"repeat": "never", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5}',
    'fp-conflict', 'ek-conflict', 'c34e9903-7413-4c51-8f98-3a9ea0d8c1f9', 'succeeded',
    '42fa0ec8-0d75-482f-8618-87ae7c9a676d', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '30 seconds', 'reply', 'MSG-2',
    counterfoil.db_now() - interval '20 seconds'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, external_id
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict', 1, 1, 'gone:1:00000000', 'succeeded',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'MSG-1'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, external_id
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict', 2, 1, 'gone:1:00000000', 'succeeded',
    counterfoil.db_now() - interval '60 seconds', counterfoil.db_now() - interval '55 seconds',
    counterfoil.db_now() - interval '60 seconds', 'MSG-2'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, at, source, external_id
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict', 2, 'reply', 'happened',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000', 'MSG-2'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, at, source, external_id
) values (
    'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict', 1, 'reply', 'happened',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000', 'MSG-1'
);

insert into counterfoil.effects (
    tool, external_id, run_id, tool_call_id
) values (
    'send_email', 'MSG-1', 'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict'
);

insert into counterfoil.effects (
    tool, external_id, run_id, tool_call_id
) values (
    'send_email', 'MSG-2', 'run_conflictAAAAAAAAAAAAAAAA', 'call_conflict'
);
