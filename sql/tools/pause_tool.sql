insert into counterfoil.tools as t (name, paused_at, paused_by, pause_reason)
values (%(name)s::text, counterfoil.db_now(), %(operator)s::text, %(reason)s::text)
on conflict (name) do update
    set paused_at = coalesce(t.paused_at, excluded.paused_at), paused_by = excluded.paused_by,
        pause_reason = excluded.pause_reason
returning t.name;
