"""Many streams at once on one web process, and what other calls notice of it.

`python tests/bench/bench_streams.py [--streams N] [--web W]`. A worker with the scripted model speaks 50 pieces to
each stream. Prints: time to the first event, time to the first piece of text, events a second in each web process,
and the p50 and p95 of `GET /v1/threads/{id}` while the streams are open and before. Exit 1 where a call took 1 s.
"""

import argparse
import asyncio
import json
import secrets
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import aiohttp
import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from sql.execute import execute  # noqa: E402
from sql.keys import create_key  # noqa: E402
from tests.support.processes import Processes  # noqa: E402

KEY = f"cf_{secrets.token_hex(16)}"
SCRIPT = json.dumps({"script": [{"say": "sixteen letters!" * 50, "chunk_ms": 100}]})


@dataclass
class Figures:
    """What was measured, in seconds; events: how many came in over all streams."""

    first_event_s: list[float] = field(default_factory=list)
    first_text_s: list[float] = field(default_factory=list)
    calls_s: list[float] = field(default_factory=list)
    events: int = 0
    ends: int = 0


async def follow(session: aiohttp.ClientSession, assistant: str, figures: Figures) -> None:
    """One stream from its request to its end."""
    body = {"assistant_id": assistant, "stream": True, "thread": {"messages": [{"role": "user", "content": SCRIPT}]}}
    began = time.monotonic()
    first = text = False
    async with session.post("/v1/threads/runs", json=body) as answer:
        async for line in answer.content:
            if not line.startswith(b"event: "):
                continue
            figures.events += 1
            if not first:
                figures.first_event_s.append(time.monotonic() - began)
                first = True
            if not text and b"message.delta" in line:
                figures.first_text_s.append(time.monotonic() - began)
                text = True
            figures.ends += line == b"event: done\n"


async def call(session: aiohttp.ClientSession, thread: str, times_s: list[float], stop: asyncio.Event) -> None:
    """A simple call each 20 ms, until told to stop."""
    while not stop.is_set():
        began = time.monotonic()
        async with session.get(f"/v1/threads/{thread}") as answer:
            await answer.read()
            assert answer.status == 200
        times_s.append(time.monotonic() - began)
        await asyncio.sleep(0.02)


async def measure(url: str, key: str, count: int) -> tuple[Figures, list[float], float]:
    """The figures, the simple call's times before, and how long the streams took, in seconds."""
    headers = {"Authorization": f"Bearer {key}"}
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=300)
    async with aiohttp.ClientSession(url, headers=headers, connector=connector, timeout=timeout) as session:
        assistant = (await (await session.post("/v1/assistants", json={"model": "scripted"})).json())["id"]
        thread = (await (await session.post("/v1/threads", json={})).json())["id"]
        quiet: list[float] = []
        stop = asyncio.Event()
        calling = asyncio.create_task(call(session, thread, quiet, stop))
        await asyncio.sleep(2)
        stop.set()
        await calling
        figures, stop = Figures(), asyncio.Event()
        calling = asyncio.create_task(call(session, thread, figures.calls_s, stop))
        began = time.monotonic()
        await asyncio.gather(*(follow(session, assistant, figures) for _ in range(count)))
        took_s = time.monotonic() - began
        stop.set()
        await calling
        return figures, quiet, took_s


def spread(times_s: list[float]) -> str:
    """p50, p95 and the longest, in milliseconds."""
    cuts = statistics.quantiles(times_s, n=20)
    return f"p50 {cuts[9] * 1000:.0f} ms, p95 {cuts[18] * 1000:.0f} ms, longest {max(times_s) * 1000:.0f} ms"


def main() -> int:
    """Starts everything, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=200)
    parser.add_argument("--web", type=int, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "data") as server, Processes(folder) as processes:
            migrate.migrate_up(server.dsn())
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                execute(connection, create_key(project="bench", sha256=sha256(KEY.encode()).digest(), hint=KEY[-4:]))
            web = processes.start_web(server.dsn(), WEB_CONCURRENCY=options.web)
            processes.start_worker(server.dsn())
            figures, quiet, took_s = asyncio.run(measure(web.url, KEY, options.streams))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{figures.ends} of {options.streams} streams ended as they should, within {took_s:.1f} s")
    print(f"first event: {spread(figures.first_event_s)}")
    print(f"first text:  {spread(figures.first_text_s)}")
    print(f"events: {figures.events / took_s / options.web:.0f} a second in each web process")
    print(f"a simple call, before:    {spread(quiet)}")
    print(f"a simple call, meanwhile: {spread(figures.calls_s)}")
    return 0 if figures.ends == options.streams and max(figures.calls_s) < 1 else 1


if __name__ == "__main__":
    sys.exit(main())
