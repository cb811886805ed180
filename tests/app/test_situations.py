"""What becomes of each named situation when a worker comes, and of an operator's word when it does.

A real Postgres, a real worker, the sandbox as a real process.
"""

import random
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

from app.catalog.tool import Contract, Lookup
from app.operations import By, carry_out, resolve, resume, unpause
from app.operations import pause as pause_tool
from app.resolution import Overtaken, UnderWay, Verdict, Word
from sql.vocabulary import AttemptState, CallState, Executor, Ledger, Reason
from tests.support import situations
from tests.support.processes import ROOT, Process, Processes, wait_until
from tests.support.sandbox_process import SandboxProcess, start_sandbox
from tests.support.situations import NAMES, Situation, one
from worker.coordinator.decide import Look, Send, decide_call
from worker.coordinator.situation import CallView, RunView
from worker.coordinator.verdict import AttemptView

situation = situations.situation
ADA: Final = By("ada", "I have looked")
CROWD: Final = 60
OUTPUT: Final = '{"message_id": "MSG-9"}'

# What a worker makes of each, when the outside world knows nothing of any request: call, run, requests sent.
COMES_TO: Final = {
    "expired_lease": ("", "completed", 0),
    "open_past_deadline": ("succeeded", "completed", 1),
    "in_doubt_safe": ("failed", "completed", 2),
    "in_doubt_keyed": ("succeeded", "completed", 1),
    "in_doubt_lookup": ("succeeded", "completed", 1),
    "in_doubt_never": ("needs_operator", "requires_action", 0),
    "keyed_key_expired": ("needs_operator", "requires_action", 0),
    "held": ("succeeded", "completed", 1),
    "held_elder_needs_operator": ("needs_operator", "requires_action", 0),
    "stuck_client_call": ("pending", "requires_action", 0),
    "poisoned": ("", "in_progress", 0),
    "conflict": ("succeeded", "completed", 0),
    "orphan_effect": ("succeeded", "cancelled", 0),
    "accepted_202": ("succeeded", "completed", 1),
    "told_in_doubt": ("needs_operator", "completed", 0),
    "ended_run_in_doubt": ("cancelled", "cancelled", 0),
    "straggler_beside_success": ("succeeded", "completed", 0),
}

Load = Callable[[str], Situation]
StartWorker = Callable[[], Process]


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path / "sandbox") as started:
        yield started


@pytest.fixture
def load(situation: situations.Load, sandbox: SandboxProcess) -> Load:
    return lambda name: situation(name, sandbox=sandbox.url)


@pytest.fixture
def start_worker(processes: Processes, database: str, sandbox: SandboxProcess) -> StartWorker:
    env = {"COUNTERFOIL_CONFIG": ROOT / "counterfoil.toml", "SANDBOX_URL": sandbox.url, "POLL_S": "0.2"}
    return lambda: processes.start_worker(database, LEASE_S="5", CLOCK_SLACK_S="0.2", **env)


def say(connection: psycopg.Connection, found: Situation, verdict: Verdict, **more: Any) -> str:
    output = OUTPUT if verdict == Verdict.HAPPENED else None
    word = Word(*found.key, verdict, **{"output": output, **more})
    return carry_out(connection, lambda transaction: resolve(transaction, word, ADA)).state


def state(connection: psycopg.Connection, found: Situation) -> tuple[str, str]:
    """The states of the call, if there is one, and of the run."""
    text = """select coalesce(min(c.state), ''), r.status from counterfoil.runs r
        left join counterfoil.tool_calls c on c.run_id = r.id where r.id = %s group by r.id"""
    row = connection.execute(text, (found.run_id,)).fetchone()
    assert row is not None
    return row[0], row[1]


def attempts(connection: psycopg.Connection, found: Situation) -> list[str]:
    text = "select state from counterfoil.attempts where run_id = %s and tool_call_id = %s order by number"
    return [word for (word,) in connection.execute(text, found.key).fetchall()]


def requests(sandbox: SandboxProcess, found: Situation) -> int:
    """How many requests the tool got for this run, lookups not counted."""
    seen = sandbox.get(f"/requests?run_id={found.run_id}")
    return sum(entry["tool"] != "lookup" for entry in seen)


def await_state(connection: psycopg.Connection, found: Situation, wanted: tuple[str, str]) -> None:
    wait_until(lambda: state(connection, found) == wanted, what=f"{found.name} → {wanted}")


def make_ticket(sandbox: SandboxProcess, mark: str) -> str:
    """A ticket as the call's lost request would have made it."""
    made = sandbox.post("/tools/create_ticket", {"title": "The lift is stuck", "external_ref": mark})
    return str(made["ticket_id"])


# The worker alone -----------------------------------------------------------------------------------


def test_what_becomes_of_each(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    assert set(COMES_TO) == set(NAMES)
    found = {name: load(name) for name in NAMES}
    start_worker()
    for name, (call, run, _) in COMES_TO.items():
        await_state(connection, found[name], (call, run))
    # Due no more, but for their expiry or those that watch another: nothing changes any further by itself.
    seen = {name: requests(sandbox, found[name]) for name in NAMES}
    assert seen == {name: sent for name, (_, _, sent) in COMES_TO.items()}
    assert len(sandbox.get("/audit/mail")) == 0
    assert len(sandbox.get("/audit/invoices")) == 1
    assert one(connection, "select count(*) from counterfoil.runs where due_at is null and ended_at is null") == 0
    assert attempts(connection, found["straggler_beside_success"]) == ["refuted", "succeeded"]
    assert attempts(connection, found["ended_run_in_doubt"]) == ["refuted"]
    assert one(connection, "select count(*) from counterfoil.tool_calls where conflict_at is not null") == 1


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("open_past_deadline", ("succeeded", "completed")),
        ("in_doubt_lookup", ("succeeded", "completed")),
        ("accepted_202", ("succeeded", "completed")),
        ("ended_run_in_doubt", ("succeeded", "cancelled")),
    ],
)
def test_what_happened_is_found_and_not_done_again(
    connection: psycopg.Connection,
    load: Load,
    sandbox: SandboxProcess,
    start_worker: StartWorker,
    name: str,
    after: tuple[str, str],
) -> None:
    found = load(name)
    mark = one(connection, "select effect_key from counterfoil.tool_calls")
    ticket = make_ticket(sandbox, mark)
    start_worker()
    await_state(connection, found, after)
    assert one(connection, "select external_id from counterfoil.tool_calls") == ticket
    assert len(sandbox.get("/audit/tickets")) == 1
    assert (one(connection, "select orphan_at from counterfoil.tool_calls") is not None) == (after[1] == "cancelled")


def test_the_second_click_shares_the_first_ones_ticket(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    found = load("held")
    assert found.elder is not None
    mark = "select effect_key from counterfoil.tool_calls where run_id = %s"
    ticket = make_ticket(sandbox, one(connection, mark, found.elder[0]))
    start_worker()
    await_state(connection, found, ("succeeded", "completed"))
    shared = "select external_id from counterfoil.tool_calls where run_id = %s"
    assert one(connection, shared, found.run_id) == ticket
    assert len(sandbox.get("/audit/tickets")) == 1


def test_two_tickets_are_a_conflict(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    found = load("straggler_beside_success")
    make_ticket(sandbox, one(connection, "select effect_key from counterfoil.tool_calls"))
    start_worker()
    conflict = "select conflict_at is not null from counterfoil.tool_calls"
    wait_until(lambda: one(connection, conflict), what="a conflict")
    assert state(connection, found) == ("succeeded", "completed")


# An operator beside the worker ----------------------------------------------------------------------


def test_retry_sends_exactly_once_more(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    found = load("in_doubt_never")
    start_worker()
    say(connection, found, Verdict.RETRY)
    await_state(connection, found, ("succeeded", "completed"))
    assert attempts(connection, found) == ["refuted", "succeeded"]
    assert len(sandbox.get("/audit/mail")) == 1


def test_retry_of_what_is_lost_again_needs_the_operator_again(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    sandbox.post("/faults", {"spec": "send_email:answer_lost"})
    found = load("in_doubt_never")
    start_worker()
    say(connection, found, Verdict.RETRY)
    wait_until(lambda: attempts(connection, found) == ["refuted", "unknown"])
    await_state(connection, found, ("needs_operator", "requires_action"))
    wait_until(lambda: say_or_wait(connection, found, Verdict.HAPPENED) == "succeeded")
    await_state(connection, found, ("succeeded", "completed"))
    assert len(sandbox.get("/audit/mail")) == 1


def say_or_wait(connection: psycopg.Connection, found: Situation, verdict: Verdict) -> str | None:
    try:
        return say(connection, found, verdict)
    except UnderWay:
        return None


def test_a_look_that_finds_it(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    sandbox.post("/faults", {"spec": "lookup_down"})
    found = load("in_doubt_lookup")
    connection.execute(
        "update counterfoil.tool_calls set state = 'needs_operator', reason = 'lookup_no_answer', lookups = 5,"
        " needs_operator_since = now()"
    )
    make_ticket(sandbox, one(connection, "select effect_key from counterfoil.tool_calls"))
    start_worker()
    sandbox.post("/faults", {"spec": ""})
    say(connection, found, Verdict.LOOKUP)
    await_state(connection, found, ("succeeded", "completed"))
    assert len(sandbox.get("/audit/tickets")) == 1
    assert one(connection, "select settled_by from counterfoil.tool_calls") == "lookup"


@pytest.mark.parametrize(
    ("verdict", "call"), [(Verdict.HAPPENED, "succeeded"), (Verdict.FAILED, "failed"), (Verdict.CANCEL_RUN, None)]
)
def test_the_run_goes_on(
    connection: psycopg.Connection,
    load: Load,
    sandbox: SandboxProcess,
    start_worker: StartWorker,
    verdict: Verdict,
    call: str | None,
) -> None:
    found = load("in_doubt_never")
    start_worker()
    say(connection, found, verdict)
    after = ("needs_operator", "cancelled") if call is None else (call, "completed")
    await_state(connection, found, after)
    assert sandbox.get("/audit/mail") == []


def test_the_second_click_follows_the_operators_word(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    found = load("held_elder_needs_operator")
    assert found.elder is not None
    start_worker()
    await_state(connection, found, ("needs_operator", "requires_action"))
    word = Word(*found.elder, Verdict.HAPPENED, output=OUTPUT)
    carry_out(connection, lambda transaction: resolve(transaction, word, ADA))
    await_state(connection, found, ("succeeded", "completed"))
    assert sandbox.get("/audit/mail") == []


def test_a_clients_call_answered_in_its_place(
    connection: psycopg.Connection, load: Load, start_worker: StartWorker
) -> None:
    found = load("stuck_client_call")
    start_worker()
    say(connection, found, Verdict.HAPPENED, output='"the left one"')
    await_state(connection, found, ("succeeded", "completed"))


def test_a_poisoned_run_goes_on_when_resumed(
    connection: psycopg.Connection, load: Load, start_worker: StartWorker
) -> None:
    found = load("poisoned")
    start_worker()
    carry_out(connection, lambda transaction: resume(transaction, found.run_id, ADA))
    await_state(connection, found, ("", "completed"))


def test_a_paused_tool_is_sent_nothing_until_it_is_resumed(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    found, other = load("in_doubt_keyed"), load("in_doubt_lookup")
    carry_out(connection, lambda transaction: pause_tool(transaction, "create_invoice", ADA))
    start_worker()
    await_state(connection, other, ("succeeded", "completed"))
    wait_until(lambda: one(connection, "select lease_owner is null from counterfoil.runs where id = %s", found.run_id))
    assert sandbox.get("/audit/invoices") == []
    carry_out(connection, lambda transaction: unpause(transaction, "create_invoice", ADA))
    await_state(connection, found, ("succeeded", "completed"))
    assert len(sandbox.get("/audit/invoices")) == 1


def test_a_worker_that_decides_while_operators_speak(
    connection: psycopg.Connection, database: str, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    """Whoever is first: what an operator has said did not happen is not sent by a decision made before."""
    load("in_doubt_keyed")
    found = [copied(connection, number) for number in range(CROWD)]
    start_worker()
    said: dict[str, str] = {}

    def speak(own: list[Situation]) -> None:
        with psycopg.connect(database, autocommit=True) as mine:
            for one_of_them in own:
                mine.execute("update counterfoil.runs set due_at = now() where id = %s", (one_of_them.run_id,))
                mine.execute("notify counterfoil")
                time.sleep(random.uniform(0, 0.02))
                try:
                    said[one_of_them.run_id] = say(mine, one_of_them, Verdict.FAILED, attempt=1)
                except Overtaken as refused:
                    said[one_of_them.run_id] = type(refused).__name__

    speakers = [threading.Thread(target=speak, args=(found[number::4],)) for number in range(4)]
    for speaker in speakers:
        speaker.start()
    for speaker in speakers:
        speaker.join()
    ended = "select bool_and(status = 'completed') from counterfoil.runs where id like 'run_crowd%%'"
    wait_until(lambda: one(connection, ended), what="the end of all")
    billed = {entry["run_id"] for entry in sandbox.get("/audit/invoices")}
    refused = {run for run, word in said.items() if word != "failed"}
    assert billed & {f.run_id for f in found} == refused
    assert one(connection, "select count(*) from counterfoil.tool_calls where conflict_at is not null") == 0
    for one_of_them in found:
        assert state(connection, one_of_them)[0] == ("succeeded" if one_of_them.run_id in refused else "failed")


def copied(connection: psycopg.Connection, number: int) -> Situation:
    """One more of the same situation, under other ids, not due yet."""
    text = (situations.FOLDER / "in_doubt_keyed.sql").read_text().replace("inDoubtKeyed", f"crowd{number}x")
    ids = {old: str(uuid.uuid4()) for old in re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)}
    for old, new in ids.items():
        text = text.replace(old, new)
    connection.execute(text.encode())
    call = f"call_crowd{number}x"
    run = one(connection, "select run_id from counterfoil.tool_calls where tool_call_id = %s", call)
    connection.execute("update counterfoil.runs set due_at = now() + interval '1 minute' where id = %s", (run,))
    return Situation("in_doubt_keyed", run, call, None)


# Late evidence against an operator's word -----------------------------------------------------------


def test_a_reply_that_comes_after_the_word(
    processes: Processes,
    connection: psycopg.Connection,
    load: Load,
    sandbox: SandboxProcess,
    start_worker: StartWorker,
) -> None:
    """The sender sleeps with the answer in its socket, the operator says that nothing happened, the sender wakes."""
    sandbox.post("/faults", {"spec": "send_email:latency_after=1"})
    found = load("in_doubt_never")
    worker = start_worker()
    say(connection, found, Verdict.RETRY)
    wait_until(lambda: len(sandbox.get("/audit/mail")) == 1)
    worker.stall()
    connection.execute("update counterfoil.attempts set deadline = now() - interval '1 minute' where state = 'open'")
    assert say(connection, found, Verdict.FAILED) == "failed"
    with pytest.raises(Overtaken, match=r"it is failed since .* settled by operator ada"):
        say(connection, found, Verdict.HAPPENED)
    worker.resume()
    conflict = "select conflict_at is not null from counterfoil.tool_calls"
    wait_until(lambda: one(connection, conflict), what="a conflict")
    assert state(connection, found)[0] == "failed"
    assert attempts(connection, found) == ["refuted", "succeeded"]


def test_a_refusal_that_comes_after_the_word(
    connection: psycopg.Connection, load: Load, sandbox: SandboxProcess, start_worker: StartWorker
) -> None:
    sandbox.post("/faults", {"spec": "send_email:latency=1,send_email:status_before=400"})
    found = load("in_doubt_never")
    worker = start_worker()
    say(connection, found, Verdict.RETRY)
    wait_until(lambda: attempts(connection, found) == ["refuted", "open"])
    wait_until(lambda: requests(sandbox, found) == 1)
    worker.stall()
    connection.execute("update counterfoil.attempts set deadline = now() - interval '1 minute' where state = 'open'")
    assert say(connection, found, Verdict.HAPPENED) == "succeeded"
    worker.resume()
    late = "select count(*) from counterfoil.evidence where kind = 'reply' and says = 'failed'"
    wait_until(lambda: one(connection, late) == 1, what="the late reply")
    assert one(connection, "select conflict_at is not null from counterfoil.tool_calls")


def test_refusing_one_call_approves_no_equal_one(
    connection: psycopg.Connection,
    load: Load,
    sandbox: SandboxProcess,
    processes: Processes,
    database: str,
    tmp_path: Path,
) -> None:
    catalog = (
        (ROOT / "counterfoil.toml").read_text().replace("[tools.send_email]", "[tools.send_email]\napproval = true")
    )
    config = tmp_path / "approval.toml"
    config.write_text(catalog)
    found = load("held_elder_needs_operator")
    assert found.elder is not None
    connection.execute("delete from counterfoil.evidence")
    connection.execute("delete from counterfoil.attempts")
    connection.execute("""update counterfoil.tool_calls set contract = contract || '{"approval": true}'""")
    connection.execute(
        "update counterfoil.tool_calls set reason = 'approval_required' where run_id = %s", (found.elder[0],)
    )
    processes.start_worker(database, COUNTERFOIL_CONFIG=config, SANDBOX_URL=sandbox.url, POLL_S="0.2")
    await_state(connection, found, ("needs_operator", "requires_action"))
    word = Word(*found.elder, Verdict.FAILED)
    carry_out(connection, lambda transaction: resolve(transaction, word, ADA))
    decided = "select state in ('needs_operator', 'succeeded') and coalesce(reason, '') != 'elder_needs_operator'"
    decided += " from counterfoil.tool_calls where run_id = %s"
    wait_until(lambda: one(connection, decided, found.run_id), what="the second call's fate")
    assert sandbox.get("/audit/mail") == [], "nobody has approved it"


# What the coordinator makes of a word ---------------------------------------------------------------

NOW: Final = datetime(2026, 3, 12, tzinfo=UTC)
RUN: Final = RunView(ended=False, expired=False, poisoned=False, ledger=Ledger.ENFORCE)


def view(contract: Contract, state: CallState, attempt: AttemptState | None = None, **more: Any) -> CallView:
    began, ended = NOW - timedelta(seconds=60), NOW - timedelta(seconds=50)
    tried = (AttemptView(1, attempt, began, ended, more.pop("closed_at", ended)),) if attempt else ()
    return CallView("run", "call", 0, 0, "tool", Executor.SERVER, contract, state, tried, **more)


def test_a_call_that_the_model_was_told_about_is_sent_again() -> None:
    contract = Contract(when_in_doubt="tell_model")
    told = view(contract, CallState.PENDING, AttemptState.REFUTED, reason=Reason.OPERATOR_RETRY, told=True)
    assert isinstance(decide_call(told, RUN, NOW).action, Send)


def test_a_keyed_tool_with_a_lookup_is_looked_up_when_an_operator_asks() -> None:
    contract = Contract(repeat="keyed", key_ttl_s=1, settle_s=1, lookup=Lookup("http://t", "tickets", "id"))
    asked = view(contract, CallState.IN_DOUBT, AttemptState.UNKNOWN, reason=Reason.OPERATOR_LOOKUP)
    assert isinstance(decide_call(asked, RUN, NOW).action, Look)
