-- Read first of what a decision is made on: `wakes` must be no newer than the rest.
select
    r.id,
    r.seq,
    r.project_id,
    r.thread_id,
    r.assistant_id,
    r.status,
    r.ledger,
    r.epoch,
    r.wakes,
    r.rounds,
    r.model_tries,
    r.expires_at,
    r.poisoned_at is not null as poisoned,
    r.correlation_id,
    r.traceparent,
    r.model,
    r.prompt_tokens,
    r.completion_tokens,
    counterfoil.db_now() as now
from counterfoil.runs as r
where r.id = any(%(ids)s::text []);
