-- A new operator; no row where the name is taken.
insert into counterfoil.users (name, role, password_hash)
values (%(name)s::text, %(role)s::text, %(password_hash)s::text)
on conflict do nothing
returning name;
