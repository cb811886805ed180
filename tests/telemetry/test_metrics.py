"""/metrics: right with several gunicorn workers, several webs and workers, and never counted twice."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.request import urlopen

import psycopg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.api.metrics import count_up
from app.database import Database
from app.telemetry.exposition import exposed
from app.telemetry.names import METRICS
from app.telemetry.tallies import Tallies
from sql.execute import execute
from sql.metrics import BUCKETS, Tally, add_tallies, read_tallies, tally_events
from tests.support.agents import Agents
from tests.support.ledger import asks, call, says
from tests.support.processes import wait_until

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]
LATER = """
create or replace function counterfoil.db_now() returns timestamptz language sql stable parallel safe
return clock_timestamp() + interval '10 minutes'
"""


def scraped(url: str) -> Series:
    """All series that an address shows."""
    with urlopen(f"{url}/metrics", timeout=30) as reply:
        assert reply.status == 200
        return parsed(reply.read().decode())


def parsed(text: str) -> Series:
    """A text as Prometheus reads it."""
    families = text_string_to_metric_families(text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def value(series: Series, name: str, **labels: str) -> float:
    """One series; 0 where it is not there."""
    return series.get((name, tuple(sorted(labels.items()))), 0.0)


def counters(series: Series) -> Series:
    """Without gauges, which move by themselves."""
    gauges = {name for metric in METRICS if metric.kind == "gauge" for name in metric.series}
    return {key: found for key, found in series.items() if key[0] not in gauges}


def test_every_process_shows_the_same_right_numbers(agents: Agents) -> None:
    agents.set_catalog(send_email={"external_id": None})
    workers = [agents.start_worker(), agents.start_worker()]
    email = call("send_email", to="a@example.com", subject="s")
    runs = [agents.book.new_run(asks(call("create_ticket", title=f"T{n}")), says()) for n in range(4)]
    runs.append(agents.book.new_run(asks(email), says()))
    for run in runs:
        agents.book.await_run(run, "completed")
    agents.set_faults("hang*1")
    doubtful = agents.book.new_run(asks(call("send_email", to="b@example.com", subject="s")), says())
    agents.book.await_call(doubtful, "needs_operator")
    for worker in workers:
        assert worker.stop() == 0
    agents.book.raw.execute(LATER)
    webs = [agents.processes.start_web(agents.dsn, WEB_CONCURRENCY=3) for _ in range(2)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(scraped, [web.url for web in webs] * 8))

    def agreed() -> Series | None:
        """What all show: for a second a process may show what it read before."""
        shown = [scraped(web.url) for web in webs for _ in range(6)]
        return shown[0] if all(counters(series) == counters(shown[0]) for series in shown) else None

    first = wait_until(agreed, what="the same numbers everywhere")
    assert first is not None
    [(attempts,)] = agents.book.raw.execute("select count(*) from counterfoil.attempts").fetchall()
    assert value(first, "counterfoil_intents_total") == attempts == 6
    assert value(first, "counterfoil_turn_duration_seconds_count", status="completed") == 5
    assert value(first, "counterfoil_claim_delay_seconds_count") == 6
    assert (
        value(first, "gen_ai_execute_tool_duration_seconds_count", gen_ai_tool_name="create_ticket", says="happened")
        == 4
    )
    assert value(first, "counterfoil_doubts_total", tool="send_email") == 1
    assert value(first, "counterfoil_runs", status="requires_action") == 1
    assert value(first, "counterfoil_calls_in_doubt", tool="send_email") == 1
    assert value(first, "counterfoil_calls_in_doubt_oldest_age_seconds", tool="send_email") > 500
    assert value(first, "counterfoil_attention", kind="needs_operator") == 1
    assert (
        value(first, "gen_ai_client_operation_duration_seconds_count", gen_ai_request_model="scripted", error_type="")
        >= 11
    )


def test_a_killed_workers_lease_is_counted_by_the_next(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"timeout_s": 30})
    agents.set_faults("latency_after=3")
    first = agents.start_worker()
    run = agents.book.new_run(asks(call("create_ticket", title="T")), says())
    agents.book.await_call(run, "intended")
    first.kill()
    second = agents.start_worker()
    agents.book.await_that(lambda: agents.book.run(run).epoch >= 2, run)
    assert second.stop() == 0
    tallies = {row.name: row.count for row in execute(agents.book.raw, read_tallies())}
    assert tallies["lease_expirations"] >= 1


def test_rows_are_counted_once_by_whoever_comes(database: str, connection: psycopg.Connection[Any]) -> None:
    connection.execute(
        "insert into counterfoil.run_events (run_id, at, event, object_id)"
        " select 'run_x', now() - interval '1 hour', 'attempt.open', 'call' from generate_series(1, 30000)"
    )
    pool = Database(database, size=8)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: count_up(pool), range(8)))
    count_up(pool)
    pool.close()
    [tally] = [row for row in execute(connection, read_tallies()) if row.name == "intents"]
    assert tally.count == 30000


def test_young_rows_wait_for_those_that_are_not_committed_yet(
    database: str, connection: psycopg.Connection[Any]
) -> None:
    insert = "insert into counterfoil.run_events (run_id, at, event) values ('run_x', now(), 'attempt.open')"
    with psycopg.connect(database) as slow:
        slow.execute(insert)
        connection.execute(insert)
        assert execute(connection, tally_events()) == 0
        slow.commit()
    connection.execute(LATER)
    assert execute(connection, tally_events()) == 2


def test_a_processs_own_counts_add_up(connection: psycopg.Connection[Any]) -> None:
    tallies = Tallies()
    tallies.count("lease_expirations", (), 2)
    for seconds in (0.001, 0.3, 4000.0):
        tallies.observe("model_duration", ("scripted", ""), seconds)
    drained = tallies.drain()
    assert tallies.drain() == []
    execute(connection, add_tallies(drained))
    execute(connection, add_tallies(drained))
    found = parsed(exposed([], execute(connection, read_tallies())).decode())
    assert value(found, "counterfoil_lease_expirations_total") == 4
    labels = {"gen_ai_request_model": "scripted", "error_type": ""}
    name = "gen_ai_client_operation_duration_seconds"
    assert value(found, f"{name}_count", **labels) == 6
    assert value(found, f"{name}_bucket", le="0.5", **labels) == 4
    assert value(found, f"{name}_sum", **labels) == pytest.approx(8000.602)


def test_histograms_are_cumulative_and_end_in_all() -> None:
    rows = [Tally("turn_duration", json.dumps(["completed"]), bound, 1, bound) for bound in BUCKETS]
    found = parsed(exposed([], rows).decode())
    counts = [v for (name, _), v in found.items() if name == "counterfoil_turn_duration_seconds_bucket"]
    assert sorted(counts) == [*range(1, len(BUCKETS) + 1), len(BUCKETS)]
