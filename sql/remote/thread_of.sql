select t.thread_id
from counterfoil.remote_threads as t
where t.run_id = %(run_id)s::text;
