"""Completion events: what a tool that answered 202 tells later, signed by Standard Webhooks, until somebody listens."""

import asyncio
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp
from standardwebhooks import Webhook

from sandbox.effect import Origin
from sandbox.log import log

PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # between tries; the last one again and again
TRIES: Final = 30


class Events:
    """Sends the events of one sandbox to one address."""

    def __init__(self, url: str, secret: str) -> None:
        self._url = url
        self._webhook = Webhook(secret)

    async def tell(self, event: Mapping[str, Any], *, copies: int = 1) -> None:
        """Sends one event so many times under one id, each until it is answered 200 or refused for good."""
        webhook_id = f"msg_{secrets.token_hex(12)}"
        body = json.dumps(event)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            for _ in range(copies):
                await self._deliver(session, webhook_id, body)

    async def _deliver(self, session: aiohttp.ClientSession, webhook_id: str, body: str) -> None:
        for number in range(TRIES):
            status, result = await self._post(session, webhook_id, body)
            if status == 200 or status in (400, 401, 413):
                log("info", "event", webhook_id=webhook_id, status=status, result=result)
                return
            await asyncio.sleep(PAUSES_S[min(number, len(PAUSES_S) - 1)])
        log("error", "event_given_up", webhook_id=webhook_id)

    async def _post(self, session: aiohttp.ClientSession, webhook_id: str, body: str) -> tuple[int | None, str]:
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": self._webhook.sign(webhook_id, now, body),
        }
        try:
            async with session.post(self._url, data=body.encode(), headers=headers) as answer:
                return answer.status, (await answer.text())[:200]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return None, type(error).__name__


def completion(origin: Origin, output: object, *, succeeded: bool, named: bool) -> dict[str, Any]:
    """The event of a call's completion; named: it says which attempt it is about."""
    event = {
        "run_id": origin.run_id,
        "tool_call_id": origin.tool_call_id,
        "status": "succeeded" if succeeded else "failed",
        "output": output,
    }
    return {**event, "attempt": origin.attempt} if named and isinstance(origin.attempt, int) else event
