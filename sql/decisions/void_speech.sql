-- Texts that a worker or a model left unfinished, and their steps: another try begins anew.
with void as (
    update counterfoil.messages as m
    set status = 'incomplete', incomplete_reason = 'run_failed', ended_at = counterfoil.db_now()
    where
        m.run_id = any(%(run_ids)s::text [])
        and m.status = 'in_progress'
        and m.id != all(%(spoken_ids)s::text [])
    returning m.id, m.run_id
)

update counterfoil.steps as s
set
    status = 'failed',
    ended_at = counterfoil.db_now()
from void as v
where s.run_id = v.run_id and s.message_id = v.id and s.status = 'in_progress';
