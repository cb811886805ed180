insert into counterfoil.steps (
    id, run_id, round, type, message_id, status, ended_at, prompt_tokens, completion_tokens
)
select
    x.id,
    x.run_id,
    x.round,
    x.type,
    x.message_id,
    x.status,
    case when x.status != 'in_progress' then counterfoil.db_now() end as ended_at,
    x.prompt_tokens,
    x.completion_tokens
from unnest(
    %(id)s::text [], %(run_id)s::text [], %(round)s::integer [], %(type)s::text [], %(message_id)s::text [],
    %(status)s::text [], %(prompt_tokens)s::bigint [], %(completion_tokens)s::bigint []
) with ordinality as x (id, run_id, round, type, message_id, status, prompt_tokens, completion_tokens, place)
order by x.place;
