-- What a login needs, and how often this name failed lately: from this address, and from anywhere.
select
    (select u.password_hash from counterfoil.users as u where u.name = %(name)s::text) as password_hash,
    (
        select count(*) from counterfoil.login_failures as f
        where f.user_name = %(name)s::text and f.address = %(address)s::text and f.at > counterfoil.db_now() - interval '15 minutes'
    ) as here,
    (
        select count(*) from counterfoil.login_failures as f
        where f.user_name = %(name)s::text and f.at > counterfoil.db_now() - interval '15 minutes'
    ) as anywhere,
    (
        select count(*) from counterfoil.login_failures as f
        where f.address = %(address)s::text and f.at > counterfoil.db_now() - interval '15 minutes'
    ) as any_name;
