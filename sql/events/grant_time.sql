-- A run that needs an operator lives long enough for one to come, unless its maker fixed its life. If it is held, its
-- lease, which may have been cut short by its old end, is whole again.
update counterfoil.runs as r
set
    expires_at = greatest(
        r.expires_at, counterfoil.db_now() + make_interval(secs => %(operator_ttl_s)s::double precision)
    ),
    due_at = case when r.lease_owner is null then r.due_at else r.lease_until end
where r.id = %(run_id)s::text and not r.fixed_expiry and r.ended_at is null;
