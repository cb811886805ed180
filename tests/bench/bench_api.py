"""The API's p95 under a steady load, beside `/healthz` in the same run, so that the ratio travels between machines.

`python tests/bench/bench_api.py [--rate N] [--seconds S] [--max-ratio R]`. One web process on an embedded Postgres
with its usual settings, no worker. Requests leave on time whether or not earlier ones are answered. Prints one line
each: p50, p95 and the ratio of p95 to that of `/healthz`; exit 1 where one is over `--max-ratio`.
"""

import argparse
import asyncio
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from tests.support.processes import Processes  # noqa: E402

KEY = "cf_bench"
PREPARE = """
insert into counterfoil.projects (id, name) values ('proj_bench', 'bench');
insert into counterfoil.assistants (id, project_id, model) values ('asst_bench', 'proj_bench', 'scripted');
insert into counterfoil.threads (id, project_id)
select 'thread_wait' || n, 'proj_bench' from generate_series(1, {n}) as n;
insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, correlation_id, model, status, started_at, waiting_since, expires_at,
    due_at
)
select 'run_wait' || n, 'proj_bench', 'thread_wait' || n, 'asst_bench', 'corr_x', 'scripted', 'requires_action',
    now(), now(), now() + interval '1 day', now() + interval '1 day'
from generate_series(1, {n}) as n;
insert into counterfoil.payloads (id, bytes)
select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, '{{}}' from generate_series(1, {n}) as n;
insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, fingerprint, effect_key, arguments, state
)
select 'run_wait' || n, 'call_1', 'thread_wait' || n, 0, 0, 'act', 'client', 'never', 'f', n::text,
    ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'pending'
from generate_series(1, {n}) as n;
insert into counterfoil.steps (id, run_id, round, type, status)
select 'step_wait' || n, 'run_wait' || n, 0, 'tool_calls', 'in_progress' from generate_series(1, {n}) as n;
analyze;
"""
CREATE = {"assistant_id": "asst_bench", "thread": {"messages": [{"role": "user", "content": "hello"}]}}
SUBMIT = {"tool_outputs": [{"tool_call_id": "call_1", "output": "done"}]}


def requests_of(number: int) -> Iterator[tuple[str, str, str, object]]:
    """Kind, method, path and body, in turns; each waiting run is answered once."""
    for n in range(1, number + 1):
        run = f"/v1/threads/thread_wait{n}/runs/run_wait{n}"
        yield "healthz", "GET", "/healthz", None
        yield "create", "POST", "/v1/threads/runs", CREATE | {"metadata": {"n": str(n)}}
        yield "retrieve", "GET", run, None
        yield "submit", "POST", f"{run}/submit_tool_outputs", SUBMIT


async def measure(url: str, rate: float, rounds: int) -> dict[str, list[float]]:
    """Seconds that each request took, by kind, from the moment it was to leave."""
    took: dict[str, list[float]] = {}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(url, headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:

        async def ask(due: float, kind: str, method: str, path: str, body: object) -> None:
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            data = None if body is None else json.dumps(body).encode()
            async with session.request(method, path, data=data) as answer:
                assert answer.status == 200, (kind, await answer.text())
                await answer.read()
            took.setdefault(kind, []).append(time.perf_counter() - due)

        begin = time.perf_counter() + 0.5
        plan = enumerate(requests_of(rounds))
        await asyncio.gather(*(ask(begin + n / rate, *request) for n, request in plan))
    return took


def percentile(values: list[float], share: float) -> float:
    """The value below which this share lies, in milliseconds."""
    return sorted(values)[int(len(values) * share)] * 1000


def serve_and_measure(home: Path, rate: float, seconds: float) -> dict[str, list[float]]:
    """Starts all, warms up with a fifth of the requests, and measures the rest."""
    rounds = int(rate * seconds / 4)
    with EmbeddedPostgres(home / "pg") as server, Processes(home) as processes:
        migrate.migrate_up(server.dsn())
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(PREPARE.format(n=rounds))
            connection.execute(
                "insert into counterfoil.api_keys (id, project_id, sha256, hint) values ('k', 'proj_bench', %s, '')",
                (hashlib.sha256(KEY.encode()).digest(),),
            )
        web = processes.start_web(server.dsn())
        took = asyncio.run(measure(web.url, rate, rounds))
    return {kind: values[len(values) // 5 :] for kind, values in took.items()}


def main() -> int:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=100)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--max-ratio", type=float, default=None)
    asked = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    home.chmod(0o755)
    try:
        took = serve_and_measure(home, asked.rate, asked.seconds)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    base = percentile(took["healthz"], 0.95)
    ratios = {kind: percentile(values, 0.95) / base for kind, values in took.items()}
    for kind, values in took.items():
        print(
            f"{kind:9} p50 {percentile(values, 0.5):6.1f} ms  p95 {percentile(values, 0.95):6.1f} ms"
            f"  {ratios[kind]:5.1f} x healthz  ({len(values)} requests)"
        )
    return int(asked.max_ratio is not None and max(ratios.values()) > asked.max_ratio)


if __name__ == "__main__":
    sys.exit(main())
