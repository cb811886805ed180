-- The newest notices of all subscriptions that are not removed.
select
    d.id,
    s.url,
    d.event,
    d.run_id,
    d.tool_call_id,
    d.at,
    d.due_at,
    d.tries,
    d.delivered_at,
    d.last_status,
    d.last_error
from counterfoil.webhook_subscriptions as s
cross join lateral (
    select w.* from counterfoil.webhook_deliveries as w
    where w.subscription_id = s.id
    order by w.at desc
    limit 50
) as d
where s.removed_at is null
order by d.at desc
limit 100;
