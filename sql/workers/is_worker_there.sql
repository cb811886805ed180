-- Whether a worker process of this number has entered itself and not left.
select exists(
    select from counterfoil.workers
    where pid = %(pid)s::integer and stopped_at is null
)
