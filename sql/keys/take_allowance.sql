-- Takes one request from what a limited key has left; how many seconds to wait where there is none, else 0.
with was as (
    select
        k.left_over,
        k.at
    from counterfoil.key_allowances as k
    where k.key_id = %(key_id)s::text
    for update
),

available as (
    select
        least(
            %(per_minute)s::double precision,
            coalesce(
                was.left_over
                + extract(epoch from counterfoil.db_now() - was.at)::double precision
                * %(per_minute)s::double precision / 60,
                %(per_minute)s::double precision
            )
        ) as requests
    from (values (1)) as one (one)
    left join was on true
),

kept as (
    insert into counterfoil.key_allowances (key_id, left_over, at)
    select
        %(key_id)s::text as key_id,
        a.requests - case when a.requests >= 1 then 1 else 0 end as left_over,
        counterfoil.db_now() as at
    from available as a
    on conflict (key_id) do update set left_over = excluded.left_over, at = excluded.at
)

select
    case
        when a.requests >= 1 then 0
        else (1 - a.requests) * 60 / %(per_minute)s::double precision
    end as wait_s
from available as a;
