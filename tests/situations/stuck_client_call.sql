-- A call of the client's has waited for ten minutes: the client never answered.

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
    'thread_stuckClientCallAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_stuckClientCallAAAAAAAAA', 'thread_stuckClientCallAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_stuckClientCallAAAAAAAAA', 'proj_situations', 'thread_stuckClientCallAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '11 minutes', 'corr_stuckClientCall', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_stuckClientCallAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '11 minutes',
    counterfoil.db_now() - interval '10 minutes', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now() + interval '10 minutes', 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_stuckClientCall1AAAAAAAA', 'run_stuckClientCallAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '714253c9-47e5-4aa8-8fff-1566e06b5fda', convert_to('{"question": "which lift?"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at
) values (
    'run_stuckClientCallAAAAAAAAA', 'call_stuckClientCall', 'thread_stuckClientCallAAAAAAAAA', 0, 0,
    'ask_user', 'client', 'never', '{}', 'fp-stuckClientCall', 'ek-stuckClientCall',
    '714253c9-47e5-4aa8-8fff-1566e06b5fda', 'pending', counterfoil.db_now() - interval '10 minutes'
);
