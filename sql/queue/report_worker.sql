insert into counterfoil.workers as w (owner, host, pid, slots)
values (%(owner)s::text, %(host)s::text, %(pid)s::integer, %(slots)s::integer)
on conflict (owner) do update
    set
        seen_at = counterfoil.db_now(),
        stopped_at = case when %(stopped)s::boolean then counterfoil.db_now() else w.stopped_at end;
