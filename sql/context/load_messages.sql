-- The threads of runs as their models see them, oldest first.
select
    r.id as run_id,
    m.id,
    m.seq,
    m.role,
    m.content,
    m.run_id as written_by,
    m.round,
    m.deleted_at is not null as deleted
from counterfoil.runs as r
inner join counterfoil.messages as m on r.thread_id = m.thread_id
where
    r.id = any(%(run_ids)s::text [])
    and (
        m.deleted_at is null
        -- The question that the run was made with, although it was deleted since.
        or m.seq = (
            select max(q.seq)
            from counterfoil.messages as q
            where
                q.thread_id = r.thread_id and q.role = 'user' and q.seq <= r.input_seq
                and (q.deleted_at is null or q.deleted_at > r.created_at)
        )
    )
    and m.status != 'in_progress'
    -- A text that this very run did not finish is void: its model is asked again.
    and not (m.status = 'incomplete' and m.run_id = r.id)
order by r.id, m.seq;
