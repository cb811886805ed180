-- The steps of runs from a round on, in order.
select
    s.id,
    floor(extract(epoch from s.created_at))::bigint as created_at,
    r.assistant_id,
    r.thread_id,
    s.run_id,
    s.round,
    s.type,
    s.message_id,
    s.status,
    floor(extract(epoch from s.ended_at))::bigint as ended_at,
    s.prompt_tokens,
    s.completion_tokens,
    r.error_code,
    r.error_message
from unnest(%(ids)s::text [], %(rounds)s::integer []) as x (id, round)
inner join counterfoil.steps as s on x.id = s.run_id
inner join counterfoil.runs as r on s.run_id = r.id
where s.round >= x.round
order by s.run_id, s.seq;
