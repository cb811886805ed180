-- A tombstone: the ledger of its runs stays.
update counterfoil.threads as t
set deleted_at = counterfoil.db_now()
where t.id = %(id)s::text and t.project_id = %(project_id)s::text and t.deleted_at is null
returning t.id;
