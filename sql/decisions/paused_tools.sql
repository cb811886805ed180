-- Read within each deciding transaction, so that a pause holds for every intent after it.
select t.name
from counterfoil.tools as t
where t.paused_at is not null;
