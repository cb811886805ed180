-- A run that needs an operator lives long enough for one to come, unless its maker fixed its life. If it is held, its
-- lease, which may have been cut short by its old end, is whole again.
with term as materialized (
    select counterfoil.db_now() + make_interval(secs => %(operator_ttl_s)s::double precision) as operators_end
)

update counterfoil.runs as r
set
    expires_at = greatest(r.expires_at, t.operators_end),
    due_at = case
        when r.lease_owner is null then r.due_at
        else least(r.lease_until, greatest(r.expires_at, t.operators_end))
    end
from term as t
where r.id = %(run_id)s::text and not r.fixed_expiry and r.ended_at is null;
