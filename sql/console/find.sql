-- What an operator has in the clipboard: the id of a run, thread or call, an effect key, a fingerprint, an id
-- that an outside system gave, a correlation id. Fingerprints also by their beginning, as logs cut them.
(select
'run' as kind,
r.id as run_id,
null as tool_call_id,
r.thread_id,
r.status as state
from counterfoil.runs as r
where r.id = %(q)s::text)
union all
(select
'thread' as kind,
null as run_id,
null as tool_call_id,
t.id as thread_id,
null as state
from counterfoil.threads as t
where t.id = %(q)s::text)
union all
(select
'call' as kind,
c.run_id,
c.tool_call_id,
c.thread_id,
c.state
from counterfoil.tool_calls as c
where c.tool_call_id = %(q)s::text
order by c.run_id desc
limit 20)
union all
(select
'effect key' as kind,
c.run_id,
c.tool_call_id,
c.thread_id,
c.state
from counterfoil.tool_calls as c
where c.effect_key = %(q)s::text)
union all
(select
'fingerprint' as kind,
c.run_id,
c.tool_call_id,
c.thread_id,
c.state
from counterfoil.tool_calls as c
where c.fingerprint >= %(q)s::text and c.fingerprint < %(q)s::text || '~' and length(%(q)s::text) >= 4
limit 20)
union all
(select
'external id' as kind,
c.run_id,
c.tool_call_id,
c.thread_id,
c.state
from counterfoil.tool_calls as c
where c.external_id = %(q)s::text
order by c.run_id desc
limit 20)
union all
(select
'evidence' as kind,
e.run_id,
e.tool_call_id,
c.thread_id,
c.state
from counterfoil.evidence as e
inner join counterfoil.tool_calls as c on e.run_id = c.run_id and e.tool_call_id = c.tool_call_id
where e.external_id = %(q)s::text and c.external_id is distinct from e.external_id
limit 20)
union all
(select
'correlation id' as kind,
r.id as run_id,
null as tool_call_id,
r.thread_id,
r.status as state
from counterfoil.runs as r
where r.correlation_id = %(q)s::text
order by r.id desc
limit 20);
