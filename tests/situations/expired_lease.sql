-- A worker claimed the run and died before it asked the model: its lease has ended, nothing was sent, and the
-- next claim takes it.

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
    'thread_expiredLeaseAAAAAAAAAAAA', 'proj_situations'
);

insert into counterfoil.messages (
    id, thread_id, role, content
) values (
    'msg_expiredLeaseAAAAAAAAAAAA', 'thread_expiredLeaseAAAAAAAAAAAA', 'user',
    '[{"type": "text", "text": {"value": "Please see to it.", "annotations": []}}]'
);

insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, created_at, correlation_id, model, input_seq, status, started_at,
    expires_at, rounds, due_at, epoch, lease_owner, lease_until, fruitless_claims
) values (
    'run_expiredLeaseAAAAAAAAAAAA', 'proj_situations', 'thread_expiredLeaseAAAAAAAAAAAA', 'asst_situations',
    counterfoil.db_now() - interval '2 minutes', 'corr_expiredLease', 'scripted',
    (select max(m.seq) from counterfoil.messages as m where m.thread_id = 'thread_expiredLeaseAAAAAAAAAAAA'),
    'in_progress', counterfoil.db_now() - interval '2 minutes', counterfoil.db_now() + interval '10 minutes',
    0, counterfoil.db_now() - interval '20 seconds', 1, 'gone:1:00000000',
    counterfoil.db_now() - interval '20 seconds', 0
);
