"""What requests share within one process."""

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from flask import current_app, g

from app.auth import KeyRing
from app.database import Database, Notifier
from app.settings import Settings
from sql.runs import count_active

if TYPE_CHECKING:
    from app.api.stream.feed import Feed

NAME: Final = "counterfoil_api"
SHORTEST_POLL_MS: Final = 250
LONGEST_POLL_MS: Final = 2000
QUIET_RUNS: Final = 200
COUNTED_UP_TO: Final = QUIET_RUNS * LONGEST_POLL_MS // SHORTEST_POLL_MS
COUNT_LASTS_S: Final = 1.0


class PollPace:
    """How long clients should wait between two looks at a run: longer the more runs are active."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counting = threading.Lock()
        self._pace_ms = SHORTEST_POLL_MS
        self._until = 0.0

    def now_ms(self) -> int:
        """Milliseconds, from a count at most about a second old; one thread counts, others use the last."""
        if time.monotonic() >= self._until and self._counting.acquire(blocking=False):
            try:
                active = self._database.read_one(count_active(COUNTED_UP_TO))
                wanted = SHORTEST_POLL_MS * active // QUIET_RUNS
                self._pace_ms = min(max(wanted, SHORTEST_POLL_MS), LONGEST_POLL_MS)
                self._until = time.monotonic() + COUNT_LASTS_S
            finally:
                self._counting.release()
        return self._pace_ms


@dataclass(frozen=True)
class Services:
    """The parts that endpoints use; `models`: names that `GET /v1/models` lists."""

    settings: Settings
    database: Database
    keys: KeyRing
    notifier: Notifier
    pace: PollPace
    feed: "Feed"
    models: tuple[str, ...]


def services() -> Services:
    """The parts of this process."""
    found: Services = current_app.extensions[NAME]
    return found


def database() -> Database:
    """The way to Postgres."""
    return services().database


def project() -> str:
    """The project whose key the request came with."""
    found: str = g.project_id
    return found
