-- Takes what is due for a minute: should this process die, the next one sends it again.
with due as (
    select d.id
    from counterfoil.webhook_deliveries as d
    where d.due_at <= counterfoil.db_now()
    order by d.due_at
    limit %(most)s::integer
    for no key update skip locked
)

update counterfoil.webhook_deliveries as d
set
    due_at = counterfoil.db_now() + interval '1 minute',
    tries = d.tries + 1
from due
inner join counterfoil.webhook_deliveries as w on due.id = w.id
inner join counterfoil.webhook_subscriptions as s on w.subscription_id = s.id
where d.id = due.id
returning d.id, d.event, d.run_id, d.tool_call_id, d.data, d.at, d.tries, s.url, s.secret;
