delete from counterfoil.sessions as s where s.sha256 = %(sha256)s::bytea;
