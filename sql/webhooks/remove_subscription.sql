-- Nobody is told any more, and what was not delivered never is.
with removed as (
    update counterfoil.webhook_subscriptions as s
    set removed_at = counterfoil.db_now()
    where s.id = %(id)s::text and s.removed_at is null
    returning s.id, s.url
),

dropped as (
    update counterfoil.webhook_deliveries as d
    set due_at = null
    from removed
    where d.subscription_id = removed.id and d.due_at is not null
)

select r.url from removed as r;
