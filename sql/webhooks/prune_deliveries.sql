-- What was delivered or given up a month ago is forgotten, a thousand at a time.
delete from counterfoil.webhook_deliveries as d
where d.id in (
    select w.id from counterfoil.webhook_deliveries as w
    where w.due_at is null and w.at < counterfoil.db_now() - interval '30 days'
    limit 1000
);
