-- Another role or password, what is null stays; whoever gets a new password is logged out everywhere.
with changed as (
    update counterfoil.users as u
    set
        role = coalesce(%(role)s::text, u.role),
        password_hash = coalesce(%(password_hash)s::text, u.password_hash),
        changed_at = counterfoil.db_now()
    where u.name = %(name)s::text
    returning u.name
),

logged_out as (
    delete from counterfoil.sessions as s
    using changed
    where s.user_name = changed.name and %(password_hash)s::text is not null
)

select c.name from changed as c;
