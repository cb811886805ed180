select exists (
    select from counterfoil.threads as t
    where t.id = %(thread_id)s::text
) as found;
