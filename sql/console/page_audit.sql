-- The audit trail, newest first, and whether each row's hash is right and follows the row before it.
select
    a.id,
    a.at,
    a.operator,
    a.action,
    a.run_id,
    a.tool_call_id,
    a.object,
    a.reason,
    a.seen,
    encode(a.hash, 'hex') as hash,
    a.hash = counterfoil.audit_hash(a) and a.previous_hash = coalesce((
        select b.hash from counterfoil.audit as b
        where b.id = a.id - 1
    ), '\x'::bytea) as chained
from counterfoil.audit as a
where
    (%(before)s::bigint is null or a.id < %(before)s::bigint)
    and (%(operator)s::text is null or a.operator = %(operator)s::text)
    and (%(action)s::text is null or a.action = %(action)s::text)
    and (%(run_id)s::text is null or a.run_id = %(run_id)s::text)
    and (%(object)s::text is null or a.object = %(object)s::text)
order by a.id desc
limit %(most)s::integer;
