-- The rest of a decision: where the run stands, and when it is due if it is let go. A run that lives longer from here
-- on is nobody else's at its old end: as long as it is held, it is due when its lease ends.
with term as materialized (
    select counterfoil.db_now() + make_interval(secs => %(operator_ttl_s)s::double precision) as operators_end
)

update counterfoil.runs as r
set
    status = coalesce(x.status, r.status),
    waiting_since = case
        when coalesce(x.status, r.status) = 'requires_action' then coalesce(r.waiting_since, counterfoil.db_now())
        when coalesce(x.status, r.status) = 'expired' then r.waiting_since
    end,
    rounds = r.rounds + x.more_rounds,
    model_tries = case when x.more_rounds > 0 then 0 else r.model_tries + x.more_model_tries end,
    prompt_tokens = r.prompt_tokens + x.prompt_tokens,
    completion_tokens = r.completion_tokens + x.completion_tokens,
    expires_at = case
        when x.needs_operator and not r.fixed_expiry and r.ended_at is null then greatest(r.expires_at, t.operators_end)
        else r.expires_at
    end,
    fruitless_claims = case when x.released or x.fruitful then 0 else r.fruitless_claims end,
    lease_owner = case when not x.released then r.lease_owner end,
    lease_until = case when not x.released then r.lease_until end,
    due_at = case
        when x.released and r.ended_at is not null then x.due_at
        when x.released then least(x.due_at, r.expires_at)
        when x.needs_operator and r.lease_owner is not null and not r.fixed_expiry and r.ended_at is null
            then least(r.lease_until, greatest(r.expires_at, t.operators_end))
        else r.due_at
    end
from unnest(
    %(id)s::text [], %(epoch)s::bigint [], %(status)s::text [], %(more_rounds)s::integer [],
    %(more_model_tries)s::integer [], %(prompt_tokens)s::bigint [], %(completion_tokens)s::bigint [],
    %(needs_operator)s::boolean [], %(fruitful)s::boolean [], %(released)s::boolean [], %(due_at)s::timestamptz []
) as x (
    id, epoch, status, more_rounds, more_model_tries, prompt_tokens, completion_tokens, needs_operator, fruitful,
    released, due_at
)
cross join term as t
where r.id = x.id and r.epoch = x.epoch
returning r.id;
