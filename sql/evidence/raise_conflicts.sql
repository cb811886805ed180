-- Before attempts move and calls settle: proof of an effect against a verdict that stands. A second success
-- is no conflict where both name the same effect, or where a key that the tool honours makes them one.
update counterfoil.tool_calls as c
set
    conflict_at = counterfoil.db_now(),
    version = c.version + 1
from unnest(
    %(run_id)s::text [], %(tool_call_id)s::text [], %(attempt)s::integer [], %(says)s::text [],
    %(external_id)s::text []
) as x (run_id, tool_call_id, attempt, says, external_id)
inner join counterfoil.runs as r on x.run_id = r.id
where
    c.run_id = x.run_id and c.tool_call_id = x.tool_call_id
    and r.ledger != 'off'
    and (
        (x.says = 'happened' and c.state in ('failed', 'cancelled'))
        or (x.says = 'all_nothing' and c.state = 'succeeded')
        or (
            x.says = 'nothing' and c.state = 'succeeded' and exists (
                select from counterfoil.attempts as a
                where
                    a.run_id = c.run_id and a.tool_call_id = c.tool_call_id and a.number = x.attempt
                    and a.state = 'succeeded'
            )
        )
        or (
            x.says = 'happened' and c.state = 'succeeded'
            and c.external_id is not null and x.external_id is not null and c.external_id != x.external_id
        )
        or (
            x.says = 'happened' and c.state = 'succeeded'
            and (
                c.repeat in ('lookup', 'never')
                or (
                    -- The tool may have forgotten the key between the first attempt and the last.
                    c.repeat = 'keyed'
                    and (c.contract ->> 'key_ttl_s')::double precision > 0
                    and (
                        select
                            extract(epoch from max(a.deadline) - min(a.intended_at))
                            + coalesce((c.contract ->> 'settle_s')::double precision, 0)
                            + coalesce((c.contract ->> 'completion_s')::double precision, 0)
                        from counterfoil.attempts as a
                        where a.run_id = c.run_id and a.tool_call_id = c.tool_call_id
                    ) >= (c.contract ->> 'key_ttl_s')::double precision
                )
            )
            and (c.external_id is null or x.external_id is null)
            and not exists (
                select from counterfoil.attempts as a
                where
                    a.run_id = c.run_id and a.tool_call_id = c.tool_call_id and a.number = x.attempt
                    and a.state = 'succeeded'
            )
            and exists (
                select from counterfoil.attempts as a
                where
                    a.run_id = c.run_id and a.tool_call_id = c.tool_call_id and a.number != x.attempt
                    and a.state = 'succeeded'
            )
        )
    )
returning c.run_id, c.tool_call_id;
