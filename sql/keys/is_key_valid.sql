-- Whether a key with this hash may be used.
select exists(
    select from counterfoil.api_keys
    where sha256 = %(sha256)s::bytea and revoked_at is null
        and (expires_at is null or expires_at > counterfoil.db_now())
)
