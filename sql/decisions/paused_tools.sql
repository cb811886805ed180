-- Read within each deciding transaction, so that a pause holds for every decision that begins after it. One that has
-- read this already may still record its intent, and send it within `send_by`: two seconds.
select t.name
from counterfoil.tools as t
where t.paused_at is not null;
