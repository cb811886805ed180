-- Whose session it is, with the role of now. stale: its last use was noted over a minute ago.
select
    u.name,
    u.role,
    s.seen_at < counterfoil.db_now() - interval '1 minute' as stale
from counterfoil.sessions as s
inner join counterfoil.users as u on s.user_name = u.name
where s.sha256 = %(sha256)s::bytea and s.expires_at > counterfoil.db_now();
