insert into counterfoil.messages (id, thread_id, run_id, assistant_id, round, role, content, status, incomplete_reason, ended_at)
select
    x.id,
    x.thread_id,
    x.run_id,
    x.assistant_id,
    x.round,
    'assistant' as role,
    x.content::json,
    case when x.incomplete_reason is null then 'completed' else 'incomplete' end as status,
    x.incomplete_reason,
    counterfoil.db_now() as ended_at
from unnest(
    %(id)s::text [], %(thread_id)s::text [], %(run_id)s::text [], %(assistant_id)s::text [], %(round)s::integer [],
    %(content)s::text [], %(incomplete_reason)s::text []
) as x (id, thread_id, run_id, assistant_id, round, content, incomplete_reason);
