-- The messages that runs wrote from a round on, with the pieces in which they were spoken.
select
    m.id,
    floor(extract(epoch from m.created_at))::bigint as created_at,
    m.thread_id,
    m.role,
    m.content,
    m.status,
    m.incomplete_reason,
    floor(extract(epoch from m.ended_at))::bigint as ended_at,
    m.assistant_id,
    m.run_id,
    m.metadata,
    m.pieces
from unnest(%(ids)s::text [], %(rounds)s::integer []) as x (id, round)
inner join counterfoil.messages as m on x.id = m.run_id
where m.round >= x.round;
