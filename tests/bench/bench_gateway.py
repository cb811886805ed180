"""CPU per request of the gateway's client and of its alternatives, against one server in another process.

`python tests/bench/bench_gateway.py [--requests N] [--in-flight N]`. httpx and httpx-aiohttp take part where they are
installed. Prints one line each: CPU of this process per request, and its ratio to plain aiohttp.
"""

import argparse
import asyncio
import multiprocessing
import time
from collections.abc import Awaitable, Callable
from functools import partial
from importlib import import_module

import aiohttp

from app.catalog import Contract, Tool
from worker.gateway.client import Gateway, ToolRequest
from worker.gateway.clock import boot_now

REPLY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 19\r\n\r\n{"ticket_id": "T1"}'
ARGUMENTS = {"title": "Printer on fire", "body": "It burns since Tuesday. " * 10}
Request = Callable[[], Awaitable[object]]


class _Server(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._data = transport, b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]) if end else 1
        if end and len(body) >= length:
            self._data = b""
            asyncio.get_running_loop().call_later(0.02, self._transport.write, REPLY)  # type: ignore[attr-defined]


def serve(ports: "multiprocessing.Queue[int]") -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(_Server, "127.0.0.1", 0, backlog=1000)
        ports.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def measured(request: Request, requests: int, in_flight: int) -> float:
    """CPU seconds of this process for each request, after a warm-up."""

    async def worker(count: int) -> None:
        for _ in range(count):
            await request()

    await asyncio.gather(*(worker(2) for _ in range(in_flight)))
    before = time.process_time()
    await asyncio.gather(*(worker(requests // in_flight) for _ in range(in_flight)))
    return (time.process_time() - before) / requests


async def run(url: str, requests: int, in_flight: int) -> dict[str, float]:
    results = {}
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def plain() -> None:
            async with session.post(url, json=ARGUMENTS) as response:
                await response.read()

        results["aiohttp"] = await measured(plain, requests, in_flight)
    gateway = Gateway()
    tool = Tool("t", url, external_id="ticket_id", contract=Contract(repeat="keyed", key_ttl_s=0.0))
    request = ToolRequest(tool, "run_1", "thr_1", "call_1", "cr_1", 1, "f" * 64, "eff_1", ARGUMENTS)
    results["the gateway"] = await measured(lambda: gateway.send(request, boot_now() + 9), requests, in_flight)
    await gateway.close()
    for name in ("httpx_aiohttp.HttpxAiohttpClient", "httpx.AsyncClient"):
        module, _, client_class = name.partition(".")
        try:
            httpx, make = import_module("httpx"), getattr(import_module(module), client_class)
        except ImportError:
            print(f"{name}: not installed")
            continue
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with make(limits=limits, timeout=30, trust_env=False) as client:
            results[name] = await measured(partial(client.post, url, json=ARGUMENTS), requests, in_flight)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--in-flight", type=int, default=100)
    options = parser.parse_args()
    ports: multiprocessing.Queue[int] = multiprocessing.Queue()
    server = multiprocessing.Process(target=serve, args=(ports,), daemon=True)
    server.start()
    try:
        results = asyncio.run(run(f"http://127.0.0.1:{ports.get()}/t", options.requests, options.in_flight))
    finally:
        server.kill()
    for name, cpu_s in results.items():
        print(f"{name:34} {cpu_s * 1e6:7.0f} us CPU a request, {cpu_s / results['aiohttp']:5.2f} x")


if __name__ == "__main__":
    main()
