insert into counterfoil.messages (
    id, thread_id, run_id, assistant_id, round, role, content, pieces, status, incomplete_reason, ended_at
)
select
    x.id,
    x.thread_id,
    x.run_id,
    x.assistant_id,
    x.round,
    'assistant' as role,
    x.content::json,
    x.pieces::integer [],
    x.status,
    x.incomplete_reason,
    case when x.status != 'in_progress' then counterfoil.db_now() end as ended_at
from unnest(
    %(id)s::text [], %(thread_id)s::text [], %(run_id)s::text [], %(assistant_id)s::text [], %(round)s::integer [],
    %(content)s::text [], %(pieces)s::text [], %(status)s::text [], %(incomplete_reason)s::text []
) as x (id, thread_id, run_id, assistant_id, round, content, pieces, status, incomplete_reason)
order by x.id;
