update counterfoil.api_keys as k
set last_used_at = counterfoil.db_now()
where k.sha256 = %(sha256)s::bytea;
