-- A login failed; what is too old to count is forgotten.
with forgotten as (
    delete from counterfoil.login_failures as f where f.at < counterfoil.db_now() - interval '1 day'
)

insert into counterfoil.login_failures (user_name, address) values (%(name)s::text, %(address)s::text);
