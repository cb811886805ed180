"""How long each page of the console takes on a large ledger: `python tests/bench/bench_console.py [RUNS]`.

Makes RUNS runs (1,000,000) by SQL over 30 days, one call, one attempt and one piece of evidence for each second
of them, 50 calls that wait for a person, and 200 workers' leases, in an embedded Postgres of its own; then asks a
real server for every page, 20 times, and prints the server's times in milliseconds. Exit 1 when a page's 95th
percentile is over 200 ms.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

import httpx
import psycopg

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.cli.users import hash_of  # noqa: E402
from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from sql.execute import execute  # noqa: E402
from sql.users import insert_user  # noqa: E402
from tests.support.processes import Processes  # noqa: E402

BUDGET_MS: Final = 200.0
TIMES: Final = 20
PASSWORD: Final = "a password of the bench"
SERVER_SETTINGS: Final = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "max_wal_size": "8GB"}
# Ids as `sql.ids.new_id` makes them: eight base-62 digits of the millisecond, then anything.
MAKE_IDS: Final = """
create function pg_temp.b62(n bigint, width integer) returns text language sql immutable as $$
    select string_agg(substr('0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz',
        (n / (62::numeric ^ i)::bigint % 62)::integer + 1, 1), '' order by i desc)
    from generate_series(0, width - 1) as i
$$;
create temp table made as
select i, at, pg_temp.b62((extract(epoch from at) * 1000)::bigint, 8) || lpad(i::text, 16, '0') as id
from generate_series(1, %(runs)s) as i
cross join lateral (select now() - (%(runs)s - i) * interval '30 days' / %(runs)s as at) as x;
"""
MAKE_ROWS: Final = (
    "insert into counterfoil.projects (id, name) values ('proj_bench', 'bench')",
    "insert into counterfoil.threads (id, project_id, created_at) select 'thread_' || id, 'proj_bench', at from made",
    """insert into counterfoil.runs (id, project_id, thread_id, assistant_id, created_at, correlation_id, model, status,
        started_at, waiting_since, ended_at, expires_at, error_code, incomplete_reason, rounds, due_at, epoch,
        lease_owner, lease_until)
    select 'run_' || id, 'proj_bench', 'thread_' || id, 'asst_bench', at, 'corr_' || id, 'scripted', status, at,
        case when status in ('requires_action', 'expired') then at end,
        case when status not in ('requires_action', 'in_progress') then at + interval '2 s' end, at + interval '10 min',
        case when status = 'failed' then 'server_error' end, case when status = 'incomplete' then 'max_tokens' end, 1,
        case when status in ('requires_action', 'in_progress') then now() + interval '5 min' end, 1,
        case when status = 'in_progress' then 'worker:1:00000000' end,
        case when status = 'in_progress' then now() + interval '1 min' end
    from (select *, case when i > %(runs)s - 50 then 'requires_action' when i > %(runs)s - 250 then 'in_progress'
        when i %% 100 = 0 then 'failed' when i %% 100 = 1 then 'expired' when i %% 1000 = 2 then 'incomplete'
        else 'completed' end as status from made) as x""",
    "insert into counterfoil.payloads (id, bytes) values ('00000000-0000-0000-0000-000000000001', '{\"a\": 1}')",
    """insert into counterfoil.tool_calls (run_id, tool_call_id, thread_id, round, index, tool, executor, repeat,
        contract, fingerprint, effect_key, arguments, state, output, external_id, created_at, in_doubt_since,
        needs_operator_since, settled_at, settled_by, suspected_duplicate)
    select 'run_' || id, 'call_' || id, 'thread_' || id, 0, 0,
        (array['create_ticket', 'send_email', 'get_ticket'])[1 + i %% 3], 'server',
        'never', '{"timeout_s": 10, "settle_s": 15}', md5(id), 'ek_' || id,
        '00000000-0000-0000-0000-000000000001', case when waits then 'needs_operator' else 'succeeded' end,
        case when not waits then '00000000-0000-0000-0000-000000000001'::uuid end,
        case when not waits then 'TCK-' || i end, at, case when waits then at end, case when waits then at end,
        case when not waits then at + interval '1 s' end, case when not waits then 'reply' end, i %% 500 = 0
    from (select *, i > %(runs)s - 50 as waits from made) as x where i %% 2 = 0 or waits""",
    """insert into counterfoil.attempts (run_id, tool_call_id, number, epoch, owner, state, intended_at, deadline,
        closed_at, reason, external_id)
    select run_id, tool_call_id, 1, 1, 'worker:1:00000000', case state when 'succeeded' then state else 'unknown' end,
        created_at, created_at + interval '13 s', created_at + interval '1 s', null, external_id
    from counterfoil.tool_calls""",
    """insert into counterfoil.evidence (run_id, tool_call_id, attempt, kind, says, at, source, external_id, duration_s)
    select run_id, tool_call_id, 1, 'reply', 'happened', created_at + interval '1 s', 'worker:1:00000000',
        external_id, 1
    from counterfoil.tool_calls""",
    """insert into counterfoil.messages (id, thread_id, role, content, created_at) select 'msg_' || id, 'thread_' || id,
        'user', '[{"type": "text", "text": {"value": "Hello"}}]', at from made where i %% 10 = 0""",
    """insert into counterfoil.tools (name, definition) values ('create_ticket', '{}'), ('send_email', '{}'),
        ('get_ticket', '{}'), ('never_called', '{}')""",
    """insert into counterfoil.workers (owner, host, pid, slots) select 'worker:' || i || ':00000000', 'bench', i, 500
        from generate_series(1, 20) as i""",
    """insert into counterfoil.audit (operator, action, object, reason)
        select 'bench', 'resolve_call', 'failed', 'bench'
        from generate_series(1, 3000)""",
)


def make(dsn: str, runs: int) -> None:
    """Makes the rows; triggers that note events are off, but for the audit's chain."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(MAKE_IDS.replace("%(runs)s", str(runs)).encode())
        for text in MAKE_ROWS:
            started = time.monotonic()
            role = "origin" if "counterfoil.audit" in text else "replica"
            connection.execute(f"set session_replication_role = {role}".encode())
            connection.execute(text.replace("%(runs)s", str(runs)).replace("%%", "%").encode())
            print(f"  {text.split()[2]}: {time.monotonic() - started:.1f} s", file=sys.stderr)
        connection.execute("set session_replication_role = origin")
        connection.execute("vacuum analyze")
        execute(connection, insert_user(name="bench", role="operator", password_hash=hash_of(PASSWORD)))


def pages(dsn: str) -> list[str]:
    """All pages, with filters that match much, little and nothing."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(
            "select run_id, tool_call_id, thread_id, fingerprint from counterfoil.tool_calls where settled_at is null"
        ).fetchone()
        middle = connection.execute("select id from counterfoil.runs order by id offset 1000 limit 1").fetchone()
    assert row is not None
    assert middle is not None
    run, call, thread, fingerprint = row
    filters = ("status=completed", "status=failed", "status=cancelled", "status=in_progress", "status=incomplete",
               "tool=create_ticket", "tool=nothing", "tool=create_ticket&status=failed", "since=1h", "since=20d",
               "attention=needs_operator", "attention=conflict", f"thread={thread}", f"before={middle[0]}")  # fmt: skip
    return [
        *("/", "/attention", "/attention?kind=stuck", "/runs", *(f"/runs?{one}" for one in filters)),
        *(f"/runs/{run}", f"/runs/{run}/calls/{call}", "/threads", f"/threads/{thread}", "/effects"),
        *(f"/effects?q={fingerprint[:8]}", "/effects?q=TCK-2000", "/search?q=nothing", f"/search?q={call}"),
        *("/workers", "/tools", "/audit", "/audit?operator=nobody", "/webhooks", "/system", "/incidents"),
    ]


def measure(url: str, dsn: str) -> bool:
    """Prints a line for each page; whether all keep the budget."""
    kept = True
    with httpx.Client(base_url=f"{url}/console", timeout=30) as client:
        token = client.get("/login").text.split('name="csrf_token" value="')[1].split('"')[0]
        client.post("/login", data={"csrf_token": token, "name": "bench", "password": PASSWORD})
        print(f"{'page':<52} {'p50 ms':>8} {'p95 ms':>8}  status")
        for page in pages(dsn):
            times = []
            for _ in range(TIMES):
                started = time.monotonic()
                answer = client.get(page)
                times.append((time.monotonic() - started) * 1000)
            slow = statistics.quantiles(times, n=20)[-1]
            timed_out = "Query timed out" in answer.text
            kept = kept and slow <= BUDGET_MS and not timed_out
            mark = " timed out" if timed_out else " over" if slow > BUDGET_MS else ""
            print(
                f"{page[:52]:<52} {statistics.median(times):8.1f} {slow:8.1f}  {answer.status_code}{mark}", flush=True
            )
    return kept


def main() -> int:
    """Makes, serves, measures."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="counterfoil-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with EmbeddedPostgres(folder, settings=SERVER_SETTINGS) as server, Processes(folder) as processes:
            migrate.migrate_up(server.dsn())
            make(server.dsn(), runs)
            return 0 if measure(processes.start_web(server.dsn()).url, server.dsn()) else 1


if __name__ == "__main__":
    sys.exit(main())
