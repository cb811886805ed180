-- The second attempt at a ticket succeeded; of the first nobody knows. If it happened too, there are two
-- tickets.

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
    'thread_stragglerBesideSuccessAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_stragglerBesideSuccessAA', 'thread_stragglerBesideSuccessAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    ended_at, expires_at, rounds, due_at, epoch
) values (
    'run_stragglerBesideSuccessAA', 'proj_situations', 'thread_stragglerBesideSuccessAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_stragglerBesideSuccess', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_stragglerBesideSuccessAA'),
    'completed', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '30 seconds',
    counterfoil.db_now() + interval '10 minutes', 1, counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status, ended_at
) values (
    'step_stragglerBesideSuccess1A', 'run_stragglerBesideSuccessAA', 0, 'tool_calls', 'completed',
    counterfoil.db_now() - interval '30 seconds'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'c949fa21-716d-4d61-83e0-80d85902d661', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'cf7a9cba-f0d1-4d74-8e10-1b0fb5f14a69', convert_to('{"ticket_id": "TCK-4"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, output, created_at, settled_at, settled_by, external_id
) values (
    'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess', 'thread_stragglerBesideSuccessAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-stragglerBesideSuccess', 'ek-stragglerBesideSuccess', 'c949fa21-716d-4d61-83e0-80d85902d661',
    'succeeded', 'cf7a9cba-f0d1-4d74-8e10-1b0fb5f14a69', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '30 seconds', 'reply', 'TCK-4'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, external_id
) values (
    'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess', 2, 1, 'gone:1:00000000', 'succeeded',
    counterfoil.db_now() - interval '60 seconds', counterfoil.db_now() - interval '55 seconds',
    counterfoil.db_now() - interval '60 seconds', 'TCK-4'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, at, source, external_id
) values (
    'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess', 2, 'reply', 'happened',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000', 'TCK-4'
);

insert into counterfoil.effects (
    tool, external_id, run_id, tool_call_id
) values (
    'create_ticket', 'TCK-4', 'run_stragglerBesideSuccessAA', 'call_stragglerBesideSuccess'
);
