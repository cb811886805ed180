update counterfoil.api_requests as q
set retry_count = greatest(q.retry_count, %(retry_count)s::integer)
where q.id = %(id)s::bigint;
