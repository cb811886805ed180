"""What docs/tradeoffs.md claims, measured: batches, the intent's commit, off against enforce, LISTEN against polling.

`python tests/bench/bench_tradeoffs.py [--json]`, on an embedded Postgres with its usual settings (durable commits).
Figures of different machines do not compare; the ratios, each within one run, do.
"""

import argparse
import asyncio
import hashlib
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sql import migrate  # noqa: E402
from sql.decisions import CallMove, Intent  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from tests.support.processes import Processes, WebProcess, free_port  # noqa: E402
from worker import batches  # noqa: E402
from worker.database import connect  # noqa: E402
from worker.journal import Journal  # noqa: E402
from worker.records import Write  # noqa: E402

KEY = "cf_bench"
PREPARE = """
insert into counterfoil.projects (id, name) values ('proj_bench', 'bench');
insert into counterfoil.assistants (id, project_id, model, tools)
values ('asst_bench', 'proj_bench', 'scripted', '[{"type": "function", "function": {"name": "create_ticket"}}]');
"""
HELD_RUNS = """
truncate counterfoil.threads, counterfoil.runs, counterfoil.tool_calls, counterfoil.attempts, counterfoil.payloads
cascade;
insert into counterfoil.threads (id, project_id)
select 'thread_' || n, 'proj_bench' from generate_series(1, %(n)s) as n;
insert into counterfoil.runs (
    id, project_id, thread_id, assistant_id, correlation_id, model, status, started_at, expires_at, due_at,
    lease_owner, lease_until, epoch
)
select 'run_' || n, 'proj_bench', 'thread_' || n, 'asst_bench', 'corr_x', 'scripted', 'in_progress', now(),
    now() + interval '1 day', now() + interval '1 day', 'bench:1:1', now() + interval '1 day', 1
from generate_series(1, %(n)s) as n;
insert into counterfoil.payloads (id, bytes)
select ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, '{}' from generate_series(1, %(n)s) as n;
insert into counterfoil.tool_calls (
    run_id, tool_call_id, thread_id, round, index, tool, executor, repeat, fingerprint, effect_key, arguments, state
)
select 'run_' || n, 'call_1', 'thread_' || n, 0, 0, 'create_ticket', 'server', 'never', 'f', n::text,
    ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid, 'pending'
from generate_series(1, %(n)s) as n;
"""
SCRIPT = [{"tool_calls": [{"name": "create_ticket", "arguments": {"title": "bench"}}]}, {"say": "done"}]
INTENTS = 2000
TURNS = 40
BURST = 400


@contextmanager
def system() -> Iterator[tuple[str, Processes]]:
    """A database at head and a place for processes."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "postgres-home") as server, Processes(folder) as processes:
            migrate.migrate_up(server.dsn())
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                connection.execute(PREPARE)
                digest = hashlib.sha256(KEY.encode()).digest()
                insert = "insert into counterfoil.api_keys (id, project_id, sha256, hint) values (%s, %s, %s, 'x')"
                connection.execute(insert, ("key_bench", "proj_bench", digest))
            yield server.dsn(), processes
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# Batches --------------------------------------------------------------------------------------------


async def intents_a_second(dsn: str, most: int) -> float:
    """Intents committed in a second when all of them wait at the same time, `most` in a transaction."""
    with psycopg.connect(dsn) as connection:
        cursor = psycopg.ClientCursor(connection)
        cursor.execute(HELD_RUNS, {"n": INTENTS})
    batches.MAX_BATCH = most  # type: ignore[misc]
    journal = Journal(lambda: connect(dsn), operator_ttl_s=1.0)
    began = time.monotonic()
    await asyncio.gather(*(journal.decide(intent(n)) for n in range(1, INTENTS + 1)))
    took = time.monotonic() - began
    await journal.close()
    with psycopg.connect(dsn) as connection:
        found = connection.execute("select count(*) from counterfoil.attempts").fetchone()
    assert found == (INTENTS,), found
    return INTENTS / took


def intent(n: int) -> Write:
    """The decision to send the one call of a run."""
    run = f"run_{n}"
    return Write(
        run_id=run,
        epoch=1,
        wakes=0,
        intents=(Intent(run, "call_1", 1, 1, "bench:1:1", 13.0),),
        tools=(("call_1", "create_ticket"),),
        call_moves=(CallMove(run, "call_1", "intended"),),
    )


# Turns ----------------------------------------------------------------------------------------------


def ask(web: WebProcess, path: str, body: object = None) -> Any:
    """A request of the agent API."""
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(f"{web.url}/v1{path}", data, headers), timeout=60) as reply:
        return json.load(reply)


def start_turn(web: WebProcess) -> str:
    """Make a turn that makes a ticket; its run's id."""
    message = {"role": "user", "content": json.dumps({"script": SCRIPT})}
    run: str = ask(web, "/threads/runs", {"assistant_id": "asst_bench", "thread": {"messages": [message]}})["id"]
    return run


def durations_s(dsn: str, runs: list[str]) -> list[float]:
    """From being made to the end, of runs, by the database's clock, once all have ended."""
    query = "select extract(epoch from ended_at - created_at)::float8 from counterfoil.runs where id = any(%s)"
    with psycopg.connect(dsn, autocommit=True) as connection:
        while True:
            rows = [row[0] for row in connection.execute(query, (runs,))]
            if all(row is not None for row in rows):
                return rows
            time.sleep(0.01)


def one_by_one(dsn: str, web: WebProcess) -> list[float]:
    """Turns on an idle system."""
    return [durations_s(dsn, [start_turn(web)])[0] for _ in range(TURNS)]


def burst_a_second(dsn: str, web: WebProcess, start_worker: Callable[[], Any]) -> float:
    """Turns completed in a second by one worker that finds a burst of them waiting."""
    runs = [start_turn(web) for _ in range(BURST)]
    worker = start_worker()
    durations_s(dsn, runs)
    span = """select extract(epoch from max(ended_at) - min(started_at))::float8
    from counterfoil.runs where id = any(%s)"""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(span, (runs,)).fetchone()
    worker.stop()
    assert row is not None
    return BURST / float(row[0])


def of_turns(dsn: str, processes: Processes) -> dict[str, float]:
    """Off against enforce, and LISTEN against polling."""
    sandbox_port = free_port()
    sandbox_url = f"http://127.0.0.1:{sandbox_port}"
    home = str(processes.folder / "sandbox")
    processes.start("sandbox", "-m", "sandbox", "--port", str(sandbox_port), "--home", home)
    env: dict[str, object] = {"COUNTERFOIL_CONFIG": ROOT / "counterfoil.toml", "SANDBOX_URL": sandbox_url}
    webs = {mode: processes.start_web(dsn, **env, LEDGER=mode) for mode in ("off", "enforce")}
    found: dict[str, float] = {}
    rates: dict[str, list[float]] = {"off": [], "enforce": []}
    for mode, web in [*webs.items(), *reversed(webs.items())] * 2:  # in both orders: what comes later finds more rows
        rates[mode].append(burst_a_second(dsn, web, lambda: processes.start_worker(dsn, **env)))
    for mode, measured in rates.items():
        found[f"burst_turns_a_second_{mode}"] = statistics.median(measured)
        found[f"burst_turns_a_second_{mode}_least"] = min(measured)
        found[f"burst_turns_a_second_{mode}_most"] = max(measured)
    worker = processes.start_worker(dsn, **env)
    lasted: dict[str, list[float]] = {"off": [], "enforce": []}
    for mode, web in [*webs.items(), *webs.items()]:
        lasted[mode] += one_by_one(dsn, web)
    worker.stop()
    for mode, times in lasted.items():
        found[f"turn_p50_ms_{mode}"] = statistics.median(times) * 1000
        found[f"turn_p95_ms_{mode}"] = statistics.quantiles(times, n=20)[-1] * 1000
    processes.start_worker(dsn, **env, LISTEN_DATABASE_URL="none")
    polled = one_by_one(dsn, webs["enforce"])
    found["turn_p50_ms_polled_each_s"] = statistics.median(polled) * 1000
    return found


def main() -> None:
    """Measure all of it, and print it."""
    options = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    options.add_argument("--json", action="store_true")
    as_json = options.parse_args().json
    with system() as (dsn, processes):
        found = of_turns(dsn, processes)
        for most in (1, 500):
            measured = [asyncio.run(intents_a_second(dsn, most)) for _ in range(3)]
            found[f"intents_a_second_batches_of_{most}"] = statistics.median(measured)
    found["load_of_5_minutes"] = os.getloadavg()[1]
    if as_json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<36} {value:10.1f}")


if __name__ == "__main__":
    main()
