-- Until the transaction ends: waits for every equal request that is under way, and keeps others out.
select pg_advisory_xact_lock(%(lock)s::bigint);
