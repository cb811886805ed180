-- Whose key this is; stale when its last use was noted over a minute ago.
select
    k.project_id,
    k.last_used_at is null or k.last_used_at < counterfoil.db_now() - interval '1 minute' as stale
from counterfoil.api_keys as k
where k.sha256 = %(sha256)s::bytea and k.revoked_at is null;
