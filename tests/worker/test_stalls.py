"""Workers that stall past their lease, stop in order, or lose the database: late decisions fall, evidence stays."""

import json
import signal
from pathlib import Path

import psutil
import psycopg

from sql.embedded import EmbeddedPostgres
from tests.support.agents import Agents
from tests.support.ledger import Trace, asks, call, says
from tests.support.processes import Process, Processes, wait_until
from tests.support.sandbox_process import SandboxProcess

TICKET = call("create_ticket", title="A")
EMAIL = call("send_email", to="a@example.com", subject="s")


def stall_at(agents: Agents, point: str) -> Process:
    """A worker that stops itself (SIGSTOP) when it first comes to a point."""
    return agents.start_worker(COUNTERFOIL_FAULT=f"{point}:1:stop")


def await_stop(worker: Process) -> None:
    """Wait until the operating system says that the worker is stopped."""
    wait_until(lambda: psutil.Process(worker.pid).status() == psutil.STATUS_STOPPED, what="the stall")


def events_in(worker: Process) -> list[str]:
    """The events that a worker has logged."""
    lines = [line for line in worker.log_text().splitlines() if line.startswith("{")]
    return [json.loads(line)["event"] for line in lines]


# SIGSTOP past the lease ------------------------------------------------------------------------------


def test_a_late_decision_is_refused(agents: Agents) -> None:
    """Stopped with a whole round in hand, and its intent: another worker stores the round; this one's falls."""
    late = stall_at(agents, "before_intent")
    run = agents.book.new_run(asks(TICKET), says())
    await_stop(late)
    agents.start_worker()
    agents.book.await_run(run, "completed")
    events = agents.book.events(run)
    late.resume()
    wait_until(lambda: "lease_lost" in events_in(late) or agents.book.run(run).wakes, what="the late worker's word")
    following = agents.book.new_run(says("still here"))
    agents.book.await_run(following, "completed")
    assert agents.book.events(run) == events, "nothing of it was written"
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    assert len(agents.requests(run)) == 1


def test_late_evidence_is_kept_and_settles_what_a_person_would_have_had_to(agents: Agents) -> None:
    """Stopped with the reply in hand: its lease and its attempt's deadline pass, and then it speaks."""
    late = stall_at(agents, "after_effect")
    run = agents.book.new_run(asks(EMAIL), says())
    await_stop(late)
    agents.start_worker()
    agents.book.await_call(run, "needs_operator")
    late.resume()
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    assert agents.book.run(run).epoch > 1
    assert len(agents.effects(run, "send_email")) == 1


def test_an_answer_that_comes_after_the_lease_is_known_to_be_lost_is_kept(agents: Agents) -> None:
    """Stopped while the request is out; awake again, it learns that another has its run, and then the tool answers."""
    agents.set_catalog(send_email={"timeout_s": 30})
    agents.set_faults("send_email:latency=6*1")
    late = agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_call(run, "intended")
    agents.book.await_that(lambda: agents.requests(run, "send_email"), run)
    late.stall()
    agents.start_worker()
    agents.book.await_that(lambda: agents.book.run(run).epoch > 1, run)
    late.resume()
    wait_until(lambda: "lease_lost" in events_in(late), what="the loss")
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    assert len(agents.requests(run, "send_email")) == 1


def test_late_evidence_against_a_verdict_is_a_conflict(agents: Agents) -> None:
    """A lookup lied, so it was sent again; the first attempt's reply says that it had happened."""
    agents.set_faults("lookup_lies")
    late = stall_at(agents, "after_effect")
    run = agents.book.new_run(asks(TICKET), says())
    await_stop(late)
    agents.start_worker()
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ("refuted", "succeeded"))]
    late.resume()
    agents.book.await_that(lambda: agents.book.calls(run)[0].conflict_at is not None, run)
    assert agents.book.traces(run) == [Trace("succeeded", ("succeeded", "succeeded"))]
    assert agents.book.output(run)["ticket_id"] == agents.effects(run)[1]["ticket_id"], "the verdict stands"


def test_an_intent_whose_sender_woke_too_late_is_not_sent(agents: Agents) -> None:
    """Stopped after the commit, before the request: past `send_by` it says so, and the call is sent by another."""
    late = stall_at(agents, "after_intent")
    run = agents.book.new_run(asks(EMAIL), says())
    await_stop(late)
    agents.start_worker()
    agents.book.await_call(run, "needs_operator")
    assert agents.effects(run, "send_email") == []
    late.resume()
    agents.book.await_run(run, "completed")
    assert agents.book.traces(run) == [Trace("succeeded", ("not_sent", "succeeded"))]
    assert len(agents.requests(run, "send_email")) == 1


def test_a_slow_tool_keeps_its_lease(agents: Agents) -> None:
    """A request that takes three leases' time: renewals go on, nobody else decides."""
    agents.set_catalog(send_email={"timeout_s": 10})
    agents.set_faults("latency=3")
    agents.start_worker()
    agents.start_worker()
    run = agents.book.new_run(asks(EMAIL), says())
    agents.book.await_run(run, "completed")
    assert agents.book.run(run).epoch == 2, "one claim, and one for the end"


# Stopping in order -----------------------------------------------------------------------------------


def test_a_draining_worker_hands_back_what_has_nothing_out_and_waits_for_the_rest(agents: Agents) -> None:
    agents.set_catalog(send_email={"timeout_s": 20})
    agents.set_faults("send_email:latency=2")
    worker = agents.start_worker(LEASE_S=60)
    out = agents.book.new_run(asks(EMAIL), says())
    thinking = agents.book.new_run(says("late", delay_ms=60_000))
    agents.book.await_call(out, "intended")
    agents.book.await_run(thinking, "in_progress")
    worker.terminate()
    agents.book.await_that(lambda: agents.book.run(thinking).lease_owner is None, thinking)
    assert worker.wait() == 0
    assert agents.book.traces(out) == [Trace("succeeded", ("succeeded",))]
    for run in (out, thinking):
        row = agents.book.run(run)
        assert (row.lease_owner, row.fruitless_claims) == (None, 0)
        assert row.due_at is not None
    agents.start_worker()
    agents.book.await_run(out, "completed")
    assert len(agents.requests(out, "send_email")) == 1


def test_a_second_signal_means_now(agents: Agents) -> None:
    agents.set_catalog(create_ticket={"timeout_s": 30})
    agents.set_faults("create_ticket:latency=30*1")
    worker = agents.start_worker()
    run = agents.book.new_run(asks(TICKET), says())
    agents.book.await_call(run, "intended")
    worker.terminate()
    wait_until(lambda: "worker_draining" in events_in(worker), what="draining")
    worker.popen.send_signal(signal.SIGTERM)
    assert worker.wait() == 1
    assert agents.book.traces(run) == [Trace("intended", ("open",))]


def test_an_idle_worker_stops_at_once_and_says_so(agents: Agents) -> None:
    worker = agents.start_worker()
    assert worker.stop() == 0
    [row] = agents.book.rows("select * from counterfoil.workers")
    assert row.stopped_at is not None


# The database goes -----------------------------------------------------------------------------------


def test_evidence_outlives_a_crash_of_the_database(
    own_server: EmbeddedPostgres, tmp_path: Path, outside_world: SandboxProcess, processes: Processes
) -> None:
    """Requests are out when it crashes, and answered while it is away: nothing is sent twice, nothing is lost."""
    outside_world.post("/reset")
    agents = Agents(own_server.dsn(), tmp_path, outside_world, processes)
    agents.set_catalog(send_email={"timeout_s": 20})
    agents.set_faults("send_email:latency=1")
    agents.start_worker()
    runs = [agents.book.new_run(asks(EMAIL), says()) for _ in range(10)]
    for run in runs:
        agents.book.await_call(run, "intended")
    own_server.crash()
    wait_until(lambda: all(agents.effects(run, "send_email") for run in runs), what="all effects")
    own_server.restart()
    agents.book.reconnect()
    for run in runs:
        agents.book.await_run(run, "completed")
        assert agents.book.traces(run) == [Trace("succeeded", ("succeeded",))]
        assert len(agents.effects(run, "send_email")) == 1
    agents.book.close()


def test_a_restart_amid_many_runs_loses_and_doubles_nothing(
    own_server: EmbeddedPostgres, tmp_path: Path, outside_world: SandboxProcess, processes: Processes
) -> None:
    outside_world.post("/reset")
    agents = Agents(own_server.dsn(), tmp_path, outside_world, processes)
    agents.set_faults("latency=0.2@0.5,seed=7")
    runs = [agents.book.new_run(asks(call("create_ticket", title=str(n))), says()) for n in range(40)]
    worker = agents.start_worker()
    agents.book.await_that(lambda: agents.book.run(runs[0]).status != "queued", runs[0])
    own_server.crash()
    own_server.restart()
    agents.book.reconnect()
    for run in runs:
        agents.book.await_run(run, "completed")
        assert len(agents.effects(run)) == 1
    assert worker.running
    agents.book.close()


def test_a_worker_that_gets_no_more_connections_does_not_claim_and_drop_without_end(agents: Agents) -> None:
    """It can claim and not load: it hands back, and leaves the run to others until its next poll."""
    short = agents.start_worker(POLL_S=60)
    name = agents.book.rows("select current_database()")[0].current_database
    with psycopg.connect(agents.book.dsn, dbname="postgres", autocommit=True) as admin:
        admin.execute(f"alter database {name} allow_connections false")
        run = agents.book.new_run(says())
        wait_until(lambda: "run_dropped" in events_in(short), what="a run that it could not load")
        agents.book.await_that(lambda: agents.book.run(run).lease_owner is None, run)
        admin.execute(f"alter database {name} allow_connections true")
    assert (agents.book.run(run).epoch, agents.book.run(run).fruitless_claims) == (1, 0)
    agents.start_worker()
    agents.book.await_run(run, "completed")
    assert events_in(short).count("run_dropped") == 1
