-- A login has succeeded: a session, no more failures of this name from here, and no sessions that are over.
with over as (
    delete from counterfoil.sessions as s where s.expires_at < counterfoil.db_now()
),

forgiven as (
    delete from counterfoil.login_failures as f where f.user_name = %(name)s::text and f.address = %(address)s::text
)

insert into counterfoil.sessions (sha256, user_name, expires_at)
values (
    %(sha256)s::bytea, %(name)s::text, counterfoil.db_now() + make_interval(secs => %(life_s)s::double precision)
);
