-- The counterfoil of a ticket was written, then its worker died: whether the request went out nobody knows,
-- but its deadline and settle_s are over. It can be looked up.

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
    'thread_openPastDeadlineAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_openPastDeadlineAAAAAAAA', 'thread_openPastDeadlineAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch, lease_owner, lease_until
) values (
    'run_openPastDeadlineAAAAAAAA', 'proj_situations', 'thread_openPastDeadlineAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_openPastDeadline', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_openPastDeadlineAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now() - interval '20 seconds', 1, 'gone:1:00000000',
    counterfoil.db_now() - interval '20 seconds'
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_openPastDeadline1AAAAAAA', 'run_openPastDeadlineAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '0bcd3e36-46a3-4508-83a2-a3e75fb16041', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at
) values (
    'run_openPastDeadlineAAAAAAAA', 'call_openPastDeadline', 'thread_openPastDeadlineAAAAAAAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-openPastDeadline', 'ek-openPastDeadline', '0bcd3e36-46a3-4508-83a2-a3e75fb16041', 'intended',
    counterfoil.db_now() - interval '2 minutes'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline
) values (
    'run_openPastDeadlineAAAAAAAA', 'call_openPastDeadline', 1, 1, 'gone:1:00000000', 'open',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds'
);
