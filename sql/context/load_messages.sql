-- The threads of runs as their models see them, oldest first.
select
    r.id as run_id,
    m.id,
    m.seq,
    m.role,
    m.content,
    m.run_id as written_by,
    m.round
from counterfoil.runs as r
inner join counterfoil.messages as m on r.thread_id = m.thread_id
where
    r.id = any(%(run_ids)s::text [])
    and m.deleted_at is null
    and m.status != 'in_progress'
    -- A text that this very run did not finish is void: its model is asked again.
    and not (m.status = 'incomplete' and m.run_id = r.id)
order by r.id, m.seq;
