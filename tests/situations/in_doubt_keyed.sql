-- An invoice's answer was lost. The tool honours the key for a day, so that the same request may go out again.

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
    'thread_inDoubtKeyedAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_inDoubtKeyedAAAAAAAAAAAA', 'thread_inDoubtKeyedAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    waiting_since, expires_at, rounds, due_at, epoch
) values (
    'run_inDoubtKeyedAAAAAAAAAAAA', 'proj_situations', 'thread_inDoubtKeyedAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_inDoubtKeyed', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_inDoubtKeyedAAAAAAAAAAAA'),
    'requires_action', counterfoil.db_now() - interval '2 minutes',
    counterfoil.db_now() - interval '1 minute', counterfoil.db_now() + interval '10 minutes', 1,
    counterfoil.db_now(), 1
);

insert into counterfoil.steps (
    id, run_id, round, type, status
) values (
    'step_inDoubtKeyed1AAAAAAAAAAA', 'run_inDoubtKeyedAAAAAAAAAAAA', 0, 'tool_calls', 'in_progress'
);

insert into counterfoil.payloads (
    id, bytes
) values (
    'b8de6417-a4e1-4bee-8eed-329cef3620ec', convert_to('{"customer": "acme", "amount_cents": 1200}', 'UTF8')
);

insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, contract, fingerprint, effect_key,
    arguments, state, created_at, in_doubt_since, reason
) values (
    'run_inDoubtKeyedAAAAAAAAAAAA', 'call_inDoubtKeyed', 'thread_inDoubtKeyedAAAAAAAAAAAA', 0, 0,
    'create_invoice', 'server', 'keyed',
    '{"repeat": "keyed", "timeout_s": 2.0, "settle_s": 0.5, "max_attempts": 5, "key_ttl_s": 86400.0}',
    'fp-inDoubtKeyed', 'ek-inDoubtKeyed', 'b8de6417-a4e1-4bee-8eed-329cef3620ec', 'in_doubt',
    counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() - interval '1 minute', 'outcome_unknown'
);

insert into counterfoil.attempts (
    run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline, closed_at, reason
) values (
    'run_inDoubtKeyedAAAAAAAAAAAA', 'call_inDoubtKeyed', 1, 1, 'gone:1:00000000', 'unknown',
    counterfoil.db_now() - interval '100 seconds', counterfoil.db_now() - interval '95 seconds',
    counterfoil.db_now() - interval '100 seconds', 'timeout'
);

insert into counterfoil.evidence (
    run_id, tool_call_id, attempt, kind, says, reason, at, source
) values (
    'run_inDoubtKeyedAAAAAAAAAAAA', 'call_inDoubtKeyed', 1, 'reply', 'unknown', 'timeout',
    counterfoil.db_now() - interval '95 seconds', 'gone:1:00000000'
);
