"""What telemetry costs: a worker's processor time for a turn without it, traced at 1 %, and traced whole.

`python tests/bench/bench_telemetry.py [--json] [--runs N] [--rounds N]`, on an embedded Postgres and the sandbox. The
three take turns on the same machine, and only their ratios mean anything.
"""

import argparse
import json
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from tests.support.agents import Agents  # noqa: E402
from tests.support.ledger import asks, call, says  # noqa: E402
from tests.support.otlp import Receiver  # noqa: E402
from tests.support.processes import Processes, wait_until  # noqa: E402
from tests.support.sandbox_process import start_sandbox  # noqa: E402


def variants(receiver: Receiver) -> dict[str, dict[str, object]]:
    """Environments of the worker."""
    sampled = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url, "OTEL_TRACES_SAMPLER": "parentbased_traceidratio"}
    return {
        "off": {},
        "one_percent": {**sampled, "OTEL_TRACES_SAMPLER_ARG": "0.01"},
        "one_percent_traces_only": {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{receiver.url}/v1/traces",
            "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
            "OTEL_TRACES_SAMPLER_ARG": "0.01",
        },
        "everything": {**sampled, "OTEL_TRACES_SAMPLER_ARG": "1"},
    }


def cpu_of_turn(agents: Agents, runs: int, env: dict[str, object]) -> float:
    """Processor seconds that a running worker takes for a turn; what it took to start is not counted."""
    worker = agents.start_worker(**env)
    work(agents, runs // 4)
    before = cpu_s(worker.pid)
    work(agents, runs)
    spent = cpu_s(worker.pid) - before
    worker.stop()
    return spent / runs


def work(agents: Agents, runs: int) -> None:
    """Lets so many turns be driven to their end."""
    made = [agents.book.new_run(asks(call("get_ticket", ticket_id="x")), says()) for _ in range(runs)]
    count = "select count(*) from counterfoil.runs where id = any(%s) and ended_at is not null"
    wait_until(lambda: agents.book.raw.execute(count, (made,)).fetchone() == (runs,), limit_s=300, what="all turns")


def cpu_s(pid: int) -> float:
    """What a process has used so far, user and system."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def measured(runs: int, rounds: int) -> dict[str, Any]:
    """The medians, and their ratios to `off`."""
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    folder.chmod(0o755)
    found: dict[str, list[float]] = {}
    try:
        with (
            EmbeddedPostgres(folder) as server,
            start_sandbox(folder / "sandbox") as sandbox,
            Processes(folder) as processes,
            Receiver() as receiver,
        ):
            migrate.migrate_up(server.dsn())
            agents = Agents(server.dsn(), folder, sandbox, processes)
            cpu_of_turn(agents, runs, {})  # warms what is cold
            for _ in range(rounds):
                for name, env in variants(receiver).items():
                    found.setdefault(name, []).append(cpu_of_turn(agents, runs, env))
            agents.book.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    cpu = {name: statistics.median(values) for name, values in found.items()}
    return {
        "cpu_ms_per_turn": {name: round(one * 1000, 2) for name, one in cpu.items()},
        "to_off": {name: round(one / cpu["off"], 3) for name, one in cpu.items()},
    }


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    result = measured(asked.runs, asked.rounds)
    if asked.json:
        print(json.dumps(result))
        return
    for name, values in result.items():
        print(f"{name}: " + ", ".join(f"{variant} {value}" for variant, value in values.items()))


if __name__ == "__main__":
    main()
