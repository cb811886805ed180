-- The tool has accepted a ticket and has not said what became of it: its completion_s is over a second from
-- now, and then it is in doubt.

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
    'thread_accepted202AAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_accepted202AAAAAAAAAAAAA', 'thread_accepted202AAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_accepted202AAAAAAAAAAAAA', 'proj_situations', 'thread_accepted202AAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_accepted202', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_accepted202AAAAAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_accepted2021AAAAAAAAAAAA', 'run_accepted202AAAAAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '8fb81816-6faa-4f62-8f59-38e63a890007', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at
) values (
    'run_accepted202AAAAAAAAAAAAA', 'call_accepted202', 'thread_accepted202AAAAAAAAAAAAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}, "completion_s": 100.0}',
    'fp-accepted202', 'ek-accepted202', '8fb81816-6faa-4f62-8f59-38e63a890007', 'accepted',
    counterfoil.db_now() - interval '2 minutes'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, http_status
) values (
    'run_accepted202AAAAAAAAAAAAA', 'call_accepted202', 1, 1, 'gone:1:00000000', 'accepted',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '99500 milliseconds',
    counterfoil.db_now() - interval '100 seconds', 202
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, at, source, http_status
) values (
    'run_accepted202AAAAAAAAAAAAA', 'call_accepted202', 1, 'reply', 'accepted',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000', 202
);
