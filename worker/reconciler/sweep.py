"""Housekeeping: payloads go when their time is over, in small batches, by whichever worker comes first."""

from typing import Final

import structlog

from sql.payloads import plan_scrubs, scrub_payloads
from worker.database import OwnConnection

log = structlog.get_logger()
DAY_S: Final = 86400.0
# With PAYLOAD_DAYS=0 somebody can still look at what has just happened.
SHORTEST_KEEP_S: Final = 900.0
BATCH: Final = 500


def keep_s(days: float) -> float:
    """How long payloads are kept once their run has ended and settled, in seconds."""
    return days * DAY_S if days > 0 else SHORTEST_KEEP_S


async def sweep(connection: OwnConnection, *, payload_days: float) -> int:
    """Plans and scrubs until there is no more to do now; answers how many payloads went.

    Each batch is a transaction of its own: whoever dies in the middle leaves the rest to the next.
    """
    while await connection.execute(plan_scrubs(keep_s=keep_s(payload_days), max_runs=BATCH)):
        pass
    gone = 0
    while scrubbed := await connection.execute(scrub_payloads(max_payloads=BATCH)):
        gone += len(scrubbed)
    if gone:
        log.info("payloads_scrubbed", payloads=gone)
    return gone
