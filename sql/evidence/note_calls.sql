-- What evidence leaves on an unsettled call besides its attempt: when it may be tried again, what to tell
-- the model should it end as failed, how often it was looked up and what came of it.
update counterfoil.tool_calls as c
set
    not_before = case
        when x.wait_s is not null then counterfoil.db_now() + make_interval(secs => x.wait_s) else c.not_before
    end,
    output = coalesce(x.output, c.output),
    lookups = case when x.more_lookups < 0 then 0 else c.lookups + x.more_lookups end,
    reason = coalesce(x.reason, c.reason),
    version = c.version + 1
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(wait_s)s::double precision [], %(output)s::uuid [],
    %(more_lookups)s::integer [], %(reason)s::text []
) as x (run_id, tool_call_id, wait_s, output, more_lookups, reason)
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id
    and c.settled_at is null;
