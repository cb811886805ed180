-- Equal calls asked for earlier in the thread: the newest that is not settled, or that was called undone and is proven
-- to have happened since, until a person has seen that; the newest that succeeded,
-- and what became of the one that a call is held by, or of one of another turn that has succeeded since this
-- turn was asked. Read without a lock: settled is final, and a stale read only waits.
select
    x.place::integer as place,
    u.run_id as open_run_id,
    u.tool_call_id as open_call_id,
    u.state as open_state,
    s.run_id as done_run_id,
    s.tool_call_id as done_call_id,
    s.output as done_output,
    s.external_id as done_external_id,
    s.age_s as done_age_s,
    coalesce(l.state, h.state) as holder_state,
    coalesce(l.output, h.output) as holder_output,
    coalesce(l.external_id, h.external_id) as holder_external_id,
    l.state is not null as done_since_asked
from unnest(
    %(thread_id)s::text [], %(run_id)s::text [], %(round)s::integer [], %(tool)s::text [], %(fingerprint)s::text [],
    %(held_by_run)s::text [], %(held_by_call)s::text []
) with ordinality as x (thread_id, run_id, round, tool, fingerprint, held_by_run, held_by_call, place)
left join lateral (
    select
        e.run_id,
        e.tool_call_id,
        case when e.settled_at is null then e.state else 'needs_operator' end as state
    from counterfoil.tool_calls as e
    where
        e.thread_id = x.thread_id and e.tool = x.tool and e.fingerprint = x.fingerprint
        and (
            e.settled_at is null
            or (e.state in ('failed', 'cancelled') and e.conflict_at > coalesce(e.seen_at, '-infinity'))
        )
        and e.executor = 'server' and e.repeat != 'safe'
        and (e.run_id != x.run_id or e.round < x.round)
        and (select r.seq from counterfoil.runs as r where r.id = e.run_id)
        <= (select r.seq from counterfoil.runs as r where r.id = x.run_id)
    order by e.created_at desc, e.index desc
    limit 1
) as u on true
left join lateral (
    select
        e.run_id,
        e.tool_call_id,
        e.output,
        e.external_id,
        extract(epoch from counterfoil.db_now() - e.settled_at)::double precision as age_s
    from counterfoil.tool_calls as e
    where
        e.thread_id = x.thread_id and e.tool = x.tool and e.fingerprint = x.fingerprint
        and e.state = 'succeeded' and e.executor = 'server' and e.repeat != 'safe'
        and (e.run_id != x.run_id or e.round < x.round)
        and (select r.seq from counterfoil.runs as r where r.id = e.run_id)
        <= (select r.seq from counterfoil.runs as r where r.id = x.run_id)
    order by e.settled_at desc
    limit 1
) as s on true
left join lateral (
    -- Of another turn, and succeeded only after this one was asked: the user did not know of it. The model does,
    -- once an equal call of an earlier round of this turn has succeeded: what it asks then, it asks once more.
    select
        e.state,
        e.output,
        e.external_id
    from counterfoil.tool_calls as e
    where
        e.thread_id = x.thread_id and e.tool = x.tool and e.fingerprint = x.fingerprint
        and e.state = 'succeeded' and e.executor = 'server' and e.repeat != 'safe'
        and e.run_id != x.run_id
        and e.settled_at > (select r.created_at from counterfoil.runs as r where r.id = x.run_id)
        and not exists (
            select from counterfoil.tool_calls as o
            where
                o.run_id = x.run_id and o.round < x.round and o.tool = x.tool and o.fingerprint = x.fingerprint
                and o.state = 'succeeded'
        )
    order by e.settled_at
    limit 1
) as l on true
left join counterfoil.tool_calls as h on x.held_by_run = h.run_id and x.held_by_call = h.tool_call_id;
