-- The run was cancelled while its e-mail was out, and the e-mail was sent: nobody was told.

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
    'thread_orphanEffectAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_orphanEffectAAAAAAAAAAAA', 'thread_orphanEffectAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, epoch
) values (
    'run_orphanEffectAAAAAAAAAAAA', 'proj_situations', 'thread_orphanEffectAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_orphanEffect', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_orphanEffectAAAAAAAAAAAA'),
    'cancelled', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_orphanEffect1AAAAAAAAAAA', 'run_orphanEffectAAAAAAAAAAAA', 0, 'tool_calls', 'cancelled',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '2341e56a-c89f-49b3-8f2d-5a9e4cb94e90',
    convert_to('{"to": "ada@example.com", "subject": "Hello"}', 'UTF8')
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '79edd5a4-1bd5-4c58-8706-08af09193c90', convert_to('{"message_id": "MSG-3"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, output, created_at, settled_at, settled_by, external_id, orphan_at
) values (
    'run_orphanEffectAAAAAAAAAAAA', 'call_orphanEffect', 'thread_orphanEffectAAAAAAAAAAAA', 0, 0,
    'send_email', 'server', 'never',
    '{"repeat": "never", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5}', 'fp-orphanEffect',
    'ek-orphanEffect', '2341e56a-c89f-49b3-8f2d-5a9e4cb94e90', 'succeeded',
    '79edd5a4-1bd5-4c58-8706-08af09193c90', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '30 seconds', 'reply', 'MSG-3',
    counterfoil.db_now() - interval '20 seconds'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, external_id
) values (
    'run_orphanEffectAAAAAAAAAAAA', 'call_orphanEffect', 1, 1, 'gone:1:00000000', 'succeeded',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'MSG-3'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, at, source, external_id
) values (
    'run_orphanEffectAAAAAAAAAAAA', 'call_orphanEffect', 1, 'reply', 'happened',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000', 'MSG-3'
);

insert into counterfoil.effects (
    tool, external_id, run_id, tool_call_id
) values (
    'send_email', 'MSG-3', 'run_orphanEffectAAAAAAAAAAAA', 'call_orphanEffect'
);
