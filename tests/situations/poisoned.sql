-- Five workers in a row claimed the run and died without a trace: it is set aside until it expires or a person
-- resumes it.

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
    'thread_poisonedAAAAAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_poisonedAAAAAAAAAAAAAAAA', 'thread_poisonedAAAAAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    expires_at, rounds, due_at, epoch, fruitless_claims, poisoned_at
) values (
    'run_poisonedAAAAAAAAAAAAAAAA', 'proj_situations', 'thread_poisonedAAAAAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_poisoned', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_poisonedAAAAAAAAAAAAAAAA'),
    'in_progress', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() + interval '10 minutes',
    0, counterfoil.db_now() + interval '10 minutes', 6, 5, counterfoil.db_now() - interval '1 minute'
);
