select
    u.name,
    u.role,
    u.created_at,
    u.changed_at,
    (select max(s.seen_at) from counterfoil.sessions as s where s.user_name = u.name) as seen_at
from counterfoil.users as u
order by u.name;
