select
    t.name,
    t.definition,
    t.loaded_at,
    t.loaded_by,
    t.paused_at,
    t.paused_by,
    t.pause_reason
from counterfoil.tools as t
order by t.name;
