-- All counters and histograms, by name.
select
t.name,
t.labels,
t.bucket,
t.count,
t.total
from counterfoil.tallies as t
order by t.name, t.labels, t.bucket;
