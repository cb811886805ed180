-- Who is told, with how it goes; the secret stays where it is.
select
    s.id,
    s.url,
    s.events,
    s.created_by,
    s.created_at,
    (
        select count(*) from (
            select 1 from counterfoil.webhook_deliveries as d
            where d.subscription_id = s.id and d.due_at is not null limit 10001
        ) as x
    ) as waiting,
    (
        select max(d.delivered_at) from (
            select w.delivered_at from counterfoil.webhook_deliveries as w
            where w.subscription_id = s.id
            order by w.at desc
            limit 100
        ) as d
    ) as delivered_at
from counterfoil.webhook_subscriptions as s
where s.removed_at is null
order by s.created_at;
