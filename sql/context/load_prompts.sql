select
    r.id as run_id,
    r.instructions,
    r.tools,
    r.settings,
    r.input_seq
from counterfoil.runs as r
where r.id = any(%(run_ids)s::text []);
