-- Requests that nobody resends any more, the oldest first, a few at a time and none that another forgets now.
delete from counterfoil.api_requests as q
where q.id in (
    select old.id
    from counterfoil.api_requests as old
    where old.created_at < counterfoil.db_now() - interval '25 hours'
    order by old.created_at
    limit %(count)s::bigint
    for update skip locked
);
