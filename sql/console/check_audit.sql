-- Whether the newest rows of the audit trail are whole: how many were looked at, and the first that is not.
select
    count(*) as looked_at,
    min(x.id) filter (where not x.whole) as broken_at
from (
    select
        a.id,
        a.hash = counterfoil.audit_hash(a)
        and a.previous_hash = case when a.id = 1 then '\x'::bytea else coalesce(b.hash, 'missing'::bytea) end as whole
    from (
        select y.id from counterfoil.audit as y
        order by y.id desc
        limit %(most)s::integer
    ) as w
    inner join counterfoil.audit as a on w.id = a.id
    left join counterfoil.audit as b on b.id = a.id - 1
) as x;
