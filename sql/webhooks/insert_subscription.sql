insert into counterfoil.webhook_subscriptions (id, url, secret, events, created_by)
values (%(id)s::text, %(url)s::text, %(secret)s::text, %(events)s::text [], %(operator)s::text);
