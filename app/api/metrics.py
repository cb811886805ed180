"""What a Prometheus scrapes: the same numbers from every web process, since they come from the database."""

import threading
import time
from collections import Counter
from typing import Final

from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.services import services
from app.database import Database, Transaction
from app.telemetry.exposition import exposed
from app.telemetry.tallies import TALLIES
from sql.metrics import (
    MOST_AT_ONCE,
    Gauge,
    add_tallies,
    read_gauges,
    read_tallies,
    tally_audit,
    tally_events,
    tally_evidence,
)
from sql.operators import list_attention
from sql.vocabulary import Attention

routes = Blueprint("metrics", __name__)
LASTS_S: Final = 1.0  # however often somebody asks
MOST_BATCHES: Final = 10  # of rows not yet counted, in one scrape; the rest come with the next
_turn = threading.Lock()
_shown: tuple[float, bytes] = (0.0, b"")


@routes.get("/metrics")
def metrics() -> Response:
    """Counts what is new, and shows everything; at most once in `LASTS_S` in each process."""
    global _shown  # noqa: PLW0603
    with _turn:
        until, text = _shown
        if time.monotonic() >= until:
            text = read_all(services().database, services().settings.stuck_after_s)
            _shown = (time.monotonic() + LASTS_S, text)
    return Response(text, content_type=CONTENT_TYPE_LATEST)


def read_all(database: Database, stuck_after_s: float) -> bytes:
    """The text, from the database. Raises `Unavailable`."""
    count_up(database)
    gauges, tallies, waiting = database.read(read_gauges(), read_tallies(), list_attention(stuck_after_s=stuck_after_s))
    found = Counter(row.attention for row in waiting)
    attention = [Gauge("attention", kind, found[kind]) for kind in Attention]
    return exposed([*gauges, *attention], tallies)


def count_up(database: Database) -> None:
    """Adds to the tallies what no process has counted yet, and what this one has counted by itself."""
    own = TALLIES.drain()
    try:
        database.write(lambda transaction: transaction.commit(add_tallies(own)))
    except Exception:
        TALLIES.give_back(own)
        raise
    for _ in range(MOST_BATCHES):
        if max(database.write(_count)) < MOST_AT_ONCE:
            return


def _count(transaction: Transaction) -> list[int]:
    return transaction.commit(tally_events(), tally_evidence(), tally_audit())
