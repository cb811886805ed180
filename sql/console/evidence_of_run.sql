-- All that was learnt of a run's calls, in order, with how long it took; the bodies stay where they are.
select
    e.id,
    e.tool_call_id,
    e.attempt,
    e.kind,
    e.says,
    e.reason,
    e.at,
    e.source,
    e.http_status,
    e.external_id,
    e.body,
    e.body_bytes,
    e.duration_s
from counterfoil.evidence as e
where e.run_id = %(run_id)s::text
order by e.id
limit 2000;
