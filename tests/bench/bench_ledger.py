"""What the ledger costs: many runs at once, pick-up of a new run, commits for each run.

    python tests/bench/bench_ledger.py

One worker process on an embedded Postgres of its own with everything durable, before the sandbox; nothing else
is started. Prints a table whose last column holds ratios within this run: they say more than the absolute
figures, which are the machine's.
"""

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from sql import migrate
from sql.embedded import EmbeddedPostgres
from tests.support.agents import catalog_text
from tests.support.ledger import Book, asks, call, says
from tests.support.processes import Process, Processes
from tests.support.sandbox_process import SandboxProcess, start_sandbox

TOOL_S: Final = 2.0
MANY: Final = 500
IN_FLIGHT: Final = 200
ONE_BY_ONE: Final = 20
PICKS: Final = 60
ENDED: Final = "select count(*) as n from counterfoil.runs where id = any(%s) and ended_at is not null"


@dataclass
class Bench:
    """A database, the outside world, and a worker before it. asked: our own transactions since the last count."""

    server: EmbeddedPostgres
    book: Book
    sandbox: SandboxProcess
    processes: Processes
    asked: int = 0

    @contextmanager
    def worker(self, **env: object) -> Iterator[Process]:
        """One worker with the settings that users get."""
        started = self.processes.start_worker(self.book.dsn, **env)
        yield started
        started.stop()

    def make_runs(self, count: int) -> list[str]:
        """So many runs with one call each, in one commit."""
        with self.book.raw.transaction():
            return [self.book.new_run(asks(call("create_ticket", title=str(n))), says()) for n in range(count)]

    def await_ended(self, runs: Sequence[str]) -> None:
        """Wait for the end of all runs, and count what that asks."""
        while True:
            self.asked += 1
            if self.book.rows(ENDED, list(runs))[0].n == len(runs):
                return
            time.sleep(0.05)

    def commits(self) -> int:
        """Transactions of everybody but us, once the counters stand still."""
        seen = -1
        while True:
            self.asked += 1
            query = "select xact_commit as n from pg_stat_database where datname = current_database()"
            now = self.book.rows(query)[0].n
            if now <= seen + 4:  # an idle worker goes on polling
                return int(now) - self.asked
            seen = now
            time.sleep(1.2)

    def postgres_cpu_s(self) -> float:
        """Processor time of the server and all its sessions so far, ended ones included."""
        postmaster = psutil.Process(int(self.server.postmaster_pid() or 0))
        living = sum(cpu_s(process) for process in postmaster.children(recursive=True))
        times = postmaster.cpu_times()
        return living + cpu_s(postmaster) + float(times.children_user + times.children_system)


def cpu_s(process: psutil.Process) -> float:
    """Processor time of a process so far, in seconds."""
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def p95(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return statistics.quantiles(values, n=20)[-1]


def many_at_once(bench: Bench) -> list[tuple[str, str, str]]:
    """500 runs at once whose tool takes two seconds."""
    bench.sandbox.post("/faults", {"spec": f"latency={TOOL_S}"})
    with bench.worker() as worker:
        process = psutil.Process(worker.pid)
        worker_s, postgres_s, before = cpu_s(process), bench.postgres_cpu_s(), bench.commits()
        bench.asked += 1
        runs = bench.make_runs(MANY)
        began = time.monotonic()
        bench.await_ended(runs)
        took = time.monotonic() - began
        worker_s, postgres_s = cpu_s(process) - worker_s, bench.postgres_cpu_s() - postgres_s
        commits = bench.commits() - before
    bench.sandbox.post("/faults", {"spec": ""})
    return [
        (
            f"{MANY} runs at once, tool takes {TOOL_S:g} s: all ended after",
            f"{took:.2f} s",
            f"{took / TOOL_S:.2f} × tool",
        ),
        ("  processor time of the worker", f"{worker_s:.2f} s", f"{1000 * worker_s / MANY:.1f} ms a run"),
        ("  processor time of Postgres", f"{postgres_s:.2f} s", f"{1000 * postgres_s / MANY:.1f} ms a run"),
        ("  commits", f"{commits}", f"{commits / MANY:.2f} a run"),
    ]


def commits_per_run(bench: Bench) -> list[tuple[str, str, str]]:
    """Commits for each run, one after the other and 200 at once."""
    with bench.worker():
        before = bench.commits()
        for _ in range(ONE_BY_ONE):
            bench.asked += 1
            bench.await_ended(bench.make_runs(1))
        alone = (bench.commits() - before) / ONE_BY_ONE
        before = bench.commits()
        bench.asked += 1
        bench.await_ended(bench.make_runs(IN_FLIGHT))
        together = (bench.commits() - before) / IN_FLIGHT
    return [
        ("commits a run, 1 in flight", f"{alone:.1f}", "1"),
        (f"commits a run, {IN_FLIGHT} in flight", f"{together:.2f}", f"1/{alone / together:.0f}"),
    ]


def pick_up(bench: Bench) -> list[tuple[str, str, str]]:
    """From a run's commit to its claim, on an idle system."""
    p95s, medians = [], []
    for listen in (None, "none"):
        with bench.worker(LISTEN_DATABASE_URL=listen):
            runs = []
            for _ in range(PICKS):
                runs.append(bench.book.new_run(says("hello")))
                time.sleep(random.uniform(0.1, 0.4))  # a bench, not a test: arrivals at any moment of a poll
            bench.await_ended(runs)
        query = (
            "select extract(epoch from started_at - created_at)::float8 as s from counterfoil.runs where id = any(%s)"
        )
        waited = [row.s for row in bench.book.rows(query, runs)]
        p95s.append(p95(waited))
        medians.append(statistics.median(waited))
    return [
        ("pick-up with LISTEN, p95 (median)", f"{1000 * p95s[0]:.0f} ms ({1000 * medians[0]:.0f} ms)", "1"),
        (
            "pick-up by polls alone (POLL_S=1), p95 (median)",
            f"{1000 * p95s[1]:.0f} ms ({1000 * medians[1]:.0f} ms)",
            f"{p95s[1] / p95s[0]:.0f}",
        ),
    ]


def main() -> None:
    """All three, on one server."""
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            EmbeddedPostgres(folder / "postgres") as server,
            start_sandbox(folder / "sandbox") as sandbox,
            Processes(folder) as processes,
        ):
            migrate.migrate_up(server.dsn())
            (folder / "counterfoil.toml").write_text(catalog_text(sandbox.url, create_ticket={"timeout_s": 30}))
            bench = Bench(server, Book(server.dsn()), sandbox, processes)
            rows = [*many_at_once(bench), *commits_per_run(bench), *pick_up(bench)]
            bench.book.close()
    width = max(len(row[0]) for row in rows)
    for what, figure, ratio in rows:
        print(f"{what:{width}}  {figure:>18}  {ratio:>14}")


if __name__ == "__main__":
    main()
