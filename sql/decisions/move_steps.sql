update counterfoil.steps as s
set
    status = x.status,
    ended_at = case when x.status != 'in_progress' then counterfoil.db_now() end,
    prompt_tokens = x.prompt_tokens,
    completion_tokens = x.completion_tokens
from unnest(
    %(id)s::text [], %(status)s::text [], %(prompt_tokens)s::bigint [], %(completion_tokens)s::bigint []
) as x (id, status, prompt_tokens, completion_tokens)
where s.id = x.id and s.status = 'in_progress';
