-- Messages that come in through the API, complete as they are; `seq` follows the order of the arrays.
insert into counterfoil.messages (id, thread_id, role, content, metadata, ended_at)
select
    x.id,
    %(thread_id)s::text as thread_id,
    x.role,
    x.content,
    x.metadata,
    counterfoil.db_now() as ended_at
from unnest(
    %(id)s::text [], %(role)s::text [], %(content)s::json [], %(metadata)s::json []
) with ordinality as x (id, role, content, metadata, position)
order by x.position
returning seq;
