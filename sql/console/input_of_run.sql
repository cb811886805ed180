-- Up to which message a run was given its thread.
select r.input_seq from counterfoil.runs as r
where r.id = %(run_id)s::text;
