-- Makes a key invalid; no row when there is no such key, the first time stands when it was revoked before.
update counterfoil.api_keys
set revoked_at = coalesce(revoked_at, counterfoil.db_now())
where id = %(key_id)s::text
returning revoked_at
