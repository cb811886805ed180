-- A notice that is about nothing, to see whether it arrives.
insert into counterfoil.webhook_deliveries (subscription_id, event, data)
select
    s.id,
    'test' as event,
    '{}'::jsonb as data
from counterfoil.webhook_subscriptions as s
where s.id = %(id)s::text and s.removed_at is null
returning id;
