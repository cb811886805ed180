select v.version_num from counterfoil.alembic_version as v;
