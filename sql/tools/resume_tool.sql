update counterfoil.tools as t
set
    paused_at = null,
    paused_by = null,
    pause_reason = null
where t.name = %(name)s::text and t.paused_at is not null
returning t.name;
