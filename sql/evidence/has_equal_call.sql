select exists (
    select from counterfoil.tool_calls as c
    inner join counterfoil.tool_calls as e on c.tool = e.tool and c.fingerprint = e.fingerprint
    where
        c.run_id = %(run_id)s::text and c.tool_call_id = %(tool_call_id)s::text
        and e.settled_at is null
        and e.state in ('intended', 'accepted', 'in_doubt', 'needs_operator')
        and (e.run_id, e.tool_call_id) != (c.run_id, c.tool_call_id)
) as found;
