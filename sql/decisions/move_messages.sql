-- What a model has said so far of a message, or its end.
update counterfoil.messages as m
set
    content = x.content::json,
    pieces = x.pieces::integer [],
    status = x.status,
    incomplete_reason = x.incomplete_reason,
    ended_at = case when x.status != 'in_progress' then counterfoil.db_now() end
from unnest(
    %(id)s::text [], %(content)s::text [], %(pieces)s::text [], %(status)s::text [], %(incomplete_reason)s::text []
) as x (id, content, pieces, status, incomplete_reason)
where m.id = x.id and m.status = 'in_progress';
