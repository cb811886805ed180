-- What became of one try: delivered, or due again after `again_s`, or given up where that is null.
update counterfoil.webhook_deliveries as d
set
    delivered_at = case when %(delivered)s::boolean then counterfoil.db_now() end,
    due_at = case
        when not %(delivered)s::boolean then counterfoil.db_now() + make_interval(secs => %(again_s)s::double precision)
    end,
    last_status = %(status)s::integer,
    last_error = %(error)s::text
where d.id = %(id)s::text;
