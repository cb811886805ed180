update counterfoil.sessions as s set seen_at = counterfoil.db_now() where s.sha256 = %(sha256)s::bytea;
