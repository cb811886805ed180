-- The counterfoils: an open attempt for each request that may go out once this has been committed.
insert into counterfoil.attempts (run_id, tool_call_id, number, epoch, owner, deadline)
select
    x.run_id,
    x.tool_call_id,
    x.number,
    x.epoch,
    x.owner,
    counterfoil.db_now() + make_interval(secs => x.life_s) as deadline
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(number)s::integer [], %(epoch)s::bigint [], %(owner)s::text [],
    %(life_s)s::double precision []
) as x (run_id, tool_call_id, number, epoch, owner, life_s)
order by x.run_id, x.tool_call_id;
