-- Adds what a process has counted by itself, since no table holds it.
insert into counterfoil.tallies as t (name, labels, bucket, count, total)
select
x.name,
x.labels,
x.bucket,
x.count,
x.total
from unnest(
    %(name)s::text [], %(labels)s::text [], %(bucket)s::double precision [],
    %(count)s::bigint [], %(total)s::double precision []
) as x (name, labels, bucket, count, total)
order by x.name, x.labels, x.bucket
on conflict (name, labels, bucket) do update
    set count = t.count + excluded.count, total = t.total + excluded.total;
