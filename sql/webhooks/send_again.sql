-- One more try of a notice, now.
update counterfoil.webhook_deliveries as d
set
    due_at = counterfoil.db_now(),
    delivered_at = null
from counterfoil.webhook_subscriptions as s
where d.id = %(id)s::text and d.subscription_id = s.id and s.removed_at is null
returning d.event;
