-- Bytes whose time has come go; the row stays, so that what refers to it explains itself.
update counterfoil.payloads as p
set
    bytes = null,
    key_id = null,
    scrub_at = null
where p.id in (
    select s.id from counterfoil.payloads as s
    where s.scrub_at <= counterfoil.db_now()
    order by s.scrub_at
    limit %(max_payloads)s::integer
    for update skip locked
)
returning p.id;
