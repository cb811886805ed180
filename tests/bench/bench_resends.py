"""Creations through a proxy that loses every third answer: the official client resends by itself; each makes one run.

`python tests/bench/bench_resends.py [--runs N] [--clients C]`. Prints how many answers were lost and how many runs
and threads there are; exit 1 unless there are exactly N of each.
"""

import argparse
import shutil
import sys
import tempfile
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import openai
import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from sql.execute import execute  # noqa: E402
from sql.keys import create_key  # noqa: E402
from tests.support.lossy_proxy import LossyProxy  # noqa: E402
from tests.support.processes import Processes  # noqa: E402

KEY = "cf_resends"
# Two are the default. Answers are lost by number, so that with many clients one request may lose several in a row.
RETRIES = 12


def create_runs(url: str, key: str, runs: int, clients: int) -> set[str]:
    """Makes runs through a proxy that loses every third answer; answers the ids that the clients were told."""
    warnings.simplefilter("ignore", DeprecationWarning)
    with LossyProxy(url, answers=lambda number, _method, _path: number % 3 == 0) as proxy:
        client = openai.OpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=RETRIES)
        assistant = client.beta.assistants.create(model="scripted").id

        def one(number: int) -> str:
            # Each of its own bytes: of two equal requests at the same moment nobody can say which one comes again.
            thread = client.beta.threads.create(metadata={"case": str(number)}).id
            return client.beta.threads.runs.create(thread, assistant_id=assistant).id

        with ThreadPoolExecutor(clients) as pool:
            found = set(pool.map(one, range(runs)))
        print(f"{len(proxy.lost)} answers lost")
        client.close()
    return found


def main() -> int:
    """Starts everything, makes the runs, counts them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--clients", type=int, default=8)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="counterfoil-bench-"))
    folder.chmod(0o755)
    try:
        with EmbeddedPostgres(folder / "data") as server, Processes(folder) as processes:
            migrate.migrate_up(server.dsn())
            with psycopg.connect(server.dsn(), autocommit=True) as connection:
                execute(connection, create_key(project="bench", sha256=sha256(KEY.encode()).digest(), hint="ends"))
                web = processes.start_web(server.dsn())
                began = time.monotonic()
                told = create_runs(web.url, KEY, options.runs, options.clients)
                took_s = time.monotonic() - began
                [runs] = connection.execute("select count(*) from counterfoil.runs").fetchone() or (0,)
                [threads] = connection.execute("select count(*) from counterfoil.threads").fetchone() or (0,)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"{options.runs} creations told of {len(told)} runs; there are {runs} runs on {threads} threads, {took_s:.0f} s"
    )
    return 0 if runs == threads == len(told) == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
