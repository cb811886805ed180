-- A run that needs an operator lives long enough for one to come, unless its maker fixed its life.
update counterfoil.runs as r
set
    expires_at = greatest(
        r.expires_at, counterfoil.db_now() + make_interval(secs => %(operator_ttl_s)s::double precision)
    )
where r.id = %(run_id)s::text and not r.fixed_expiry and r.ended_at is null;
