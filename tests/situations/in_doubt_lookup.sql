-- A ticket's answer was lost. Whether there is a ticket with its mark can be looked up.

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
    'thread_inDoubtLookupAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_inDoubtLookupAAAAAAAAAAA', 'thread_inDoubtLookupAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_inDoubtLookupAAAAAAAAAAA', 'proj_situations', 'thread_inDoubtLookupAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_inDoubtLookup', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_inDoubtLookupAAAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_inDoubtLookup1AAAAAAAAAA', 'run_inDoubtLookupAAAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    '4607d7d7-7de7-4bec-878a-cefeaf408cb8', convert_to('{"title": "The lift is stuck"}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_inDoubtLookupAAAAAAAAAAA', 'call_inDoubtLookup', 'thread_inDoubtLookupAAAAAAAAAAA', 0, 0,
    'create_ticket', 'server', 'lookup',
    '{"repeat": "lookup", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "lookup": {"url": "http://127.0.0.1:8091/tickets?external_ref={effect_key}", "found": "tickets", "id": "ticket_id"}}',
    'fp-inDoubtLookup', 'ek-inDoubtLookup', '4607d7d7-7de7-4bec-878a-cefeaf408cb8', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_inDoubtLookupAAAAAAAAAAA', 'call_inDoubtLookup', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_inDoubtLookupAAAAAAAAAAA', 'call_inDoubtLookup', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
