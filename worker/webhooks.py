"""Tells subscribers by Standard Webhooks: at least once, with back-off; triggers write the notices into a table."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import aiohttp
import psycopg
import structlog
from psycopg import AsyncConnection
from standardwebhooks import Webhook

from sql.statement import Statement
from sql.webhooks import DueDelivery, claim_deliveries, prune_deliveries, record_delivery

log = structlog.get_logger()
T = TypeVar("T")
IDLE_S: Final = 2.0
PRUNE_EVERY: Final = 1800
TIMEOUT: Final = aiohttp.ClientTimeout(total=10.0)
# Standard Webhooks' own proposal: two and a half days in all, then it is given up and can be sent again by hand.
BACK_OFF_S: Final = (5.0, 300.0, 1800.0, 7200.0, 18000.0, 36000.0, 50400.0, 72000.0)


class Teller:
    """Sends due notices, one batch after the other, on a connection of its own."""

    def __init__(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]]) -> None:
        self._connect = connect
        self._connection: AsyncConnection[Any] | None = None

    async def run(self) -> None:
        """Until it is cancelled; what was being sent then is sent again by whoever comes next."""
        turn = 0
        try:
            async with aiohttp.ClientSession(timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as http:
                while True:
                    if not await self._batch(http, turn):
                        await asyncio.sleep(IDLE_S)
                    turn += 1
        finally:
            if self._connection is not None:
                await self._connection.close()

    async def _batch(self, http: aiohttp.ClientSession, turn: int) -> bool:
        try:
            due = await self._execute(claim_deliveries())
            outcomes = await asyncio.gather(*(tell(http, one) for one in due))
            for outcome in outcomes:
                await self._execute(outcome)
            if turn % PRUNE_EVERY == 0:
                await self._execute(prune_deliveries())
        except (psycopg.Error, OSError) as error:
            log.warning("webhooks_wait", error=type(error).__name__)
            return False
        return bool(due)

    async def _execute(self, statement: Statement[T]) -> T:
        if self._connection is None or self._connection.closed:
            self._connection = await self._connect()
            await self._connection.set_autocommit(True)
        cursor = await self._connection.execute(statement.text.encode(), statement.params)
        return statement.read(await cursor.fetchall() if cursor.description else [])


async def tell(http: aiohttp.ClientSession, one: DueDelivery) -> Statement[None]:
    """Sends one notice; answers what to record of it. Never raises for what the other side does."""
    body = json.dumps(notice(one), separators=(",", ":"))
    status, error = None, None
    try:
        headers = signed(one, body, datetime.now(UTC))
        async with http.post(one.url, data=body.encode(), headers=headers, allow_redirects=False) as reply:
            status = reply.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as wrong:
        error = type(wrong).__name__
    delivered = status is not None and 200 <= status < 300
    again_s = BACK_OFF_S[one.tries - 1] if one.tries <= len(BACK_OFF_S) else None
    log.info("webhook_sent", delivery=one.id, webhook_event=one.event, status=status, error=error, tries=one.tries)
    return record_delivery(one.id, delivered=delivered, again_s=again_s, status=status, error=error)


def notice(one: DueDelivery) -> dict[str, Any]:
    """What is told: ids and words, never payloads."""
    ids = {"run_id": one.run_id, "tool_call_id": one.tool_call_id}
    data = {**one.data, **{name: value for name, value in ids.items() if value is not None}}
    return {"type": one.event, "timestamp": one.at.astimezone(UTC).isoformat(), "data": data}


def signed(one: DueDelivery, body: str, now: datetime) -> dict[str, str]:
    """The headers of Standard Webhooks. Raises ValueError for a secret that is none."""
    return {
        "content-type": "application/json",
        "webhook-id": one.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(one.secret).sign(one.id, now, body),
    }
