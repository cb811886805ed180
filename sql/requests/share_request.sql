-- Until the transaction ends. First tries share, so that equal requests do not wait for one another; a resent
-- one excludes, and so waits for the first.
select pg_advisory_xact_lock_shared(%(lock)s::bigint);
