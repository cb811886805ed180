-- What evidence leaves on a call besides its attempt: when it may be tried again, how often it was looked
-- up and what came of it, and, unless it is settled, what to tell the model should it end as failed.
update counterfoil.tool_calls as c
set
    not_before = case
        when x.wait_s is not null then counterfoil.db_now() + make_interval(secs => x.wait_s) else c.not_before
    end,
    output = case when c.settled_at is null then coalesce(x.output, c.output) else c.output end,
    lookups = case when x.more_lookups < 0 then 0 else c.lookups + x.more_lookups end,
    reason = case when c.settled_at is null then coalesce(x.reason, c.reason) else c.reason end,
    version = c.version + 1
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(wait_s)s::double precision [], %(output)s::uuid [],
    %(more_lookups)s::integer [], %(reason)s::text []
) as x (run_id, tool_call_id, wait_s, output, more_lookups, reason)
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id;
