-- Whose key this is, while it is valid; stale when its last use was noted over a minute ago.
select
    k.project_id,
    k.last_used_at is null or k.last_used_at < counterfoil.db_now() - interval '1 minute' as stale,
    k.id,
    k.read_only,
    k.per_minute
from counterfoil.api_keys as k
where k.sha256 = %(sha256)s::bytea and k.revoked_at is null
    and (k.expires_at is null or k.expires_at > counterfoil.db_now());
