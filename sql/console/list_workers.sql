-- Workers seen within a day, those that run first, with the leases that each holds.
select
    w.owner,
    w.host,
    w.pid,
    w.slots,
    w.started_at,
    w.seen_at,
    w.stopped_at,
    (
        select count(*) from (
            select 1 from counterfoil.runs as r where r.lease_owner = w.owner limit 10001
        ) as x
    ) as leases
from counterfoil.workers as w
where w.seen_at > counterfoil.db_now() - interval '1 day'
order by w.stopped_at is not null, w.seen_at desc
limit 200;
