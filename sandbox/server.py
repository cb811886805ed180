"""The process: open the port, say so, serve until SIGTERM."""

import asyncio
import errno
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from sandbox.app import build_app
from sandbox.effect import iso
from sandbox.log import log
from sandbox.world import World

BACKLOG: Final = 2048


class PortTakenError(Exception):
    """port {port} of {host} is taken"""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"port {port} of {host} is taken")


async def serve(world: World, host: str, port: int, *, drain_s: float) -> None:
    """Serve until SIGTERM or SIGINT, then let effects under way happen for `drain_s`; a second one = now.

    Port 0 takes a free one; `sandbox.json` in the home names the address as long as it is served. Raises
    PortTakenError, and OSError when there is no such address.
    """
    stop, stop_now = _signals()
    runner = web.AppRunner(build_app(world), handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = await _listen(runner, host, port)
        announcement = announce(world.home, host, runner.addresses[0][1])
        await stop.wait()
        log("info", "stopping", under_way=len(world.tasks))
        await site.stop()
        await _drain(world, stop_now, drain_s)
        announcement.unlink(missing_ok=True)
    finally:
        await runner.cleanup()
    log("info", "stopped")


async def _listen(runner: web.AppRunner, host: str, port: int) -> web.TCPSite:
    site = web.TCPSite(runner, host, port, backlog=BACKLOG)
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTakenError(host, port) from None
        raise
    return site


def _signals() -> tuple[asyncio.Event, asyncio.Event]:
    first, second = asyncio.Event(), asyncio.Event()

    def heard() -> None:
        (second if first.is_set() else first).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, heard)
    return first, second


def announce(home: Path, host: str, port: int) -> Path:
    """Write the address to `sandbox.json`, whole or not at all, and to the log."""
    facts: dict[str, Any] = {
        "url": f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
        "host": host,
        "port": port,
        "pid": os.getpid(),
        "home": str(home.resolve()),
        "started_at": iso(datetime.now(UTC)),
    }
    path, draft = home / "sandbox.json", home / "sandbox.json.new"
    draft.write_text(json.dumps(facts) + "\n")
    draft.replace(path)
    log("info", "listening", **facts)
    return path


async def _drain(world: World, stop_now: asyncio.Event, drain_s: float) -> None:
    """Wait for the effects under way, for `drain_s` at most; what is left then never happens."""
    if not world.tasks:
        return
    hurry = asyncio.ensure_future(stop_now.wait())
    work = asyncio.ensure_future(asyncio.wait(set(world.tasks)))
    await asyncio.wait({hurry, work}, timeout=drain_s, return_when=asyncio.FIRST_COMPLETED)
    for task in (hurry, work, *world.tasks):
        task.cancel()
