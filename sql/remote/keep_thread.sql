-- The first one stays: another worker may have been quicker.
with kept as (
    insert into counterfoil.remote_threads (run_id, thread_id)
    values (%(run_id)s::text, %(thread_id)s::text)
    on conflict (run_id) do update set thread_id = counterfoil.remote_threads.thread_id
    returning thread_id
)

select k.thread_id
from kept as k;
