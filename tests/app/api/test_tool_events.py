"""Events from tools, against a live web process: who may send them, what they prove, and what they change."""

import base64
import json
import secrets
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from standardwebhooks import Webhook

from tests.support.ledger import PROJECT
from tests.support.processes import Processes

SECRET = "whsec_" + base64.b64encode(b"the secret of lift").decode()
OTHER = "whsec_" + base64.b64encode(b"the secret of crane").decode()
CATALOG = """
[tools.lift]
url = "http://127.0.0.1:9/lift"
repeat = "never"
timeout_s = 1
completion_s = 60
settle_s = 1
external_id = "id"
event_secret = "env:LIFT_SECRET"
[tools.crane]
url = "http://127.0.0.1:9/crane"
event_secret = "env:CRANE_SECRET"
[tools.mute]
url = "http://127.0.0.1:9/mute"
"""


@dataclass
class Yard:
    """A web process, its ledger, and calls in it as workers would have left them."""

    url: str
    rows: psycopg.Connection
    http: httpx.Client = field(default_factory=httpx.Client)

    def call(self, *attempts: str, state: str = "intended", tool: str = "lift", repeat: str = "never") -> "Case":
        """A call of a run that waits for it, with attempts in these states."""
        mark, payload = secrets.token_hex(8), uuid.uuid4()
        run, thread, call = f"run_{mark}", f"thread_{mark}", f"call_{mark}"
        with self.rows.transaction():
            self.rows.execute("insert into counterfoil.threads (id, project_id) values (%s, %s)", (thread, PROJECT))
            self.rows.execute(
                "insert into counterfoil.runs (id, project_id, thread_id, assistant_id, correlation_id, model, status,"
                " started_at, waiting_since, rounds, expires_at, due_at) values (%s, %s, %s, 'a', 'c', 'scripted',"
                " 'requires_action', now(), now(), 1, now() + interval '10 minutes', now() + interval '1 minute')",
                (run, PROJECT, thread),
            )
            self.rows.execute("insert into counterfoil.payloads (id, bytes) values (%s, '{}')", (payload,))
            self.rows.execute(
                "insert into counterfoil.tool_calls (run_id, tool_call_id, thread_id, round, index, tool, executor,"
                " repeat, contract, fingerprint, effect_key, arguments, state, in_doubt_since) values (%s, %s, %s, 0,"
                " 0, %s, 'server', %s, '{}', 'f', %s, %s, %s, now())",
                (run, call, thread, tool, repeat, mark, payload, state),
            )
            for number, one in enumerate(attempts, 1):
                self.rows.execute(
                    "insert into counterfoil.attempts (run_id, tool_call_id, number, epoch, owner, state, deadline,"
                    " closed_at) values (%s, %s, %s, 1, 'w', %s, now(), %s)",
                    (run, call, number, one, None if one == "open" else datetime.now(UTC)),
                )
            self.rows.execute(
                "insert into counterfoil.steps (id, run_id, round, type, status)"
                " values (%s, %s, 0, 'tool_calls', 'in_progress')",
                (f"step_{mark}", run),
            )
        return Case(self, run, call)

    def send(self, body: object, *, secret: str = SECRET, **changes: Any) -> httpx.Response:
        """Posts an event, signed now unless a change says otherwise."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        at = changes.get("at", datetime.now(UTC))
        webhook_id = changes.get("webhook_id") or f"msg_{secrets.token_hex(8)}"
        signature = changes.get("signature") or Webhook(secret).sign(webhook_id, at, raw.decode())
        headers = {
            "webhook-id": webhook_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        without = changes.get("without")
        return self.http.post(
            f"{self.url}/v1/tool_events",
            content=raw,
            headers={name: value for name, value in headers.items() if name != without},
        )


@dataclass
class Case:
    """One call, and what became of it."""

    yard: Yard
    run: str
    call: str

    def event(self, status: str = "succeeded", output: object = None, **more: Any) -> dict[str, Any]:
        return {"run_id": self.run, "tool_call_id": self.call, "status": status, "output": output, **more}

    def tell(self, status: str = "succeeded", output: object = None, **more: Any) -> str:
        answer = self.yard.send(self.event(status, output, **more))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["result"])

    def one(self, query: str) -> Any:
        found = self.yard.rows.execute(query, {"run": self.run}).fetchone()
        return None if found is None else found[0]

    @property
    def state(self) -> str:
        return str(self.one("select state from counterfoil.tool_calls where run_id = %(run)s"))

    @property
    def conflict(self) -> bool:
        return self.one("select conflict_at from counterfoil.tool_calls where run_id = %(run)s") is not None

    @property
    def attempts(self) -> list[str]:
        return list(
            self.one("select array_agg(state order by number) from counterfoil.attempts where run_id = %(run)s") or []
        )

    @property
    def evidence(self) -> int:
        return int(self.one("select count(*) from counterfoil.evidence where run_id = %(run)s"))

    @property
    def output(self) -> Any:
        found = self.one(
            "select bytes from counterfoil.tool_calls as c join counterfoil.payloads as p on p.id = c.output"
            " where run_id = %(run)s"
        )
        return json.loads(bytes(found))


@pytest.fixture(scope="module")
def yard(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "counterfoil.toml").write_text(CATALOG)
    with Processes(folder) as processes, psycopg.connect(module_database, autocommit=True) as rows:
        rows.execute("insert into counterfoil.projects (id, name) values (%s, %s)", (PROJECT, PROJECT))
        web = processes.start_web(module_database, LIFT_SECRET=SECRET, CRANE_SECRET=OTHER)
        yield Yard(web.url, rows)


# Who may speak --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"secret": OTHER},
        {"secret": "whsec_" + base64.b64encode(b"nobody's").decode()},
        {"at": datetime.now(UTC) - timedelta(minutes=6)},
        {"at": datetime.now(UTC) + timedelta(minutes=10)},
        {"signature": "v1,not base64"},
        {"signature": "nonsense"},
        {"signature": "v2,AAAA"},
        {"without": "webhook-id"},
        {"without": "webhook-timestamp"},
        {"without": "webhook-signature"},
        {"webhook_id": "m" * 256},
    ],
)
def test_what_its_tool_did_not_sign_a_short_while_ago_changes_nothing(yard: Yard, change: dict[str, Any]) -> None:
    case = yard.call("open")
    answer = yard.send(case.event(), **change)
    # Another tool's signature is good, but it knows no such call.
    assert answer.status_code == (404 if change == {"secret": OTHER} else 401), answer.text
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert (case.state, case.attempts, case.evidence) == ("intended", ["open"], 0)


def test_a_changed_body_is_not_what_was_signed(yard: Yard) -> None:
    case = yard.call("open")
    signed = json.dumps(case.event(output={"id": "L-1"})).encode()
    at, webhook_id = datetime.now(UTC), "msg_forged"
    signature = Webhook(SECRET).sign(webhook_id, at, signed.decode())
    forged = signed.replace(b"L-1", b"L-2")
    assert yard.send(forged, at=at, webhook_id=webhook_id, signature=signature).status_code == 401
    assert yard.send(signed, at=at, webhook_id=webhook_id, signature=signature).status_code == 200


def test_calls_that_the_tool_cannot_know_are_404(yard: Yard) -> None:
    case, other = yard.call("open"), yard.call("open")
    unsent = yard.call(state="pending")
    for event in (
        case.event() | {"run_id": "run_0"},
        case.event() | {"tool_call_id": "call_0"},
        case.event() | {"run_id": other.run},
        unsent.event(),
        yard.call("open", tool="mute").event(),
    ):
        assert yard.send(event).status_code == 404, event
    assert {one.evidence for one in (case, other, unsent)} == {0}


@pytest.mark.parametrize(
    "change",
    [
        {"status": "done"},
        {"status": None},
        {"run_id": 3},
        {"run_id": "run_\x00"},
        {"tool_call_id": ""},
        {"attempt": 0},
        {"attempt": "1"},
        {"attempt": 2},
        {"external_id": 5},
        {"external_id": "x\x00"},
    ],
)
def test_what_is_not_of_the_form_is_400(yard: Yard, change: dict[str, Any]) -> None:
    case = yard.call("open")
    answer = yard.send(case.event() | change)
    assert answer.status_code == 400, answer.text
    assert case.evidence == 0


def test_bodies_that_are_no_json_or_too_large(yard: Yard) -> None:
    for raw in (b"", b"[]", b"nonsense", b'"x"', b'{"output": NaN}'):
        assert yard.send(raw).status_code == 400
    case = yard.call("open")
    size = len(json.dumps(case.event(output="")))
    most = case.event(output="x" * (2**20 - size))
    assert yard.send(case.event(output="x" * (2**20 - size + 1))).status_code == 413
    assert yard.send(most).json() == {"result": "accepted"}


def test_no_key_is_needed_and_other_methods_are_not_served(yard: Yard) -> None:
    assert yard.http.get(f"{yard.url}/v1/tool_events").status_code == 405


# What it proves -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["open", "accepted", "unknown"])
def test_success_settles_the_call_and_wakes_the_run(yard: Yard, state: str) -> None:
    """Also before the 202 was recorded, and after the call had been given to an operator."""
    case = yard.call(state, state={"unknown": "in_doubt"}.get(state, "intended"))
    assert case.tell(output={"id": f"L-{case.run}", "text": "\x00 ☃"}) == "accepted"
    assert (case.state, case.attempts) == ("succeeded", ["succeeded"])
    assert case.output == {"id": f"L-{case.run}", "text": "\x00 ☃"}
    assert case.one("select external_id from counterfoil.tool_calls where run_id = %(run)s") == f"L-{case.run}"
    run = "select array[status, wakes::text, (due_at <= now())::text] from counterfoil.runs where id = %(run)s"
    assert case.one(run) == ["queued", "1", "true"]
    assert case.one("select status from counterfoil.steps where run_id = %(run)s") == "completed"
    owner = "select tool_call_id from counterfoil.effects where run_id = %(run)s"
    assert case.one(owner) == case.call
    assert case.one("select settled_by from counterfoil.tool_calls where run_id = %(run)s") == "event"


def test_the_same_webhook_id_twice_is_a_duplicate(yard: Yard) -> None:
    case = yard.call("open")
    results = [yard.send(case.event(), webhook_id="msg_twice").json()["result"] for _ in range(2)]
    assert results == ["accepted", "duplicate"]
    assert case.evidence == 1


def test_ten_at_once_are_accepted_once(yard: Yard) -> None:
    case = yard.call("open")
    together = threading.Barrier(10)

    def send(number: int) -> str:
        together.wait()
        return str(yard.send(case.event(output=1), webhook_id=f"msg_{case.run}_{number % 2}").json()["result"])

    with ThreadPoolExecutor(10) as pool:
        results = sorted(pool.map(send, range(10)))
    assert results == ["accepted", *["duplicate"] * 8, "late"]


def test_a_settled_call_is_late_or_in_conflict(yard: Yard) -> None:
    case = yard.call("accepted")
    name = {"id": f"L-{case.run}"}
    assert case.tell(output=name) == "accepted"
    assert case.tell(output=name) == "late"
    assert case.tell(output={**name, "more": 1}) == "late", "the same effect"
    assert not case.conflict
    assert case.tell(output={"id": "another"}) == "conflict"
    assert (case.conflict, case.state, case.output) == (True, "succeeded", name)


@pytest.mark.parametrize(("output", "result"), [({"n": 1.0}, "late"), ({"n": 2}, "conflict")])
def test_without_an_id_outputs_are_compared(yard: Yard, output: object, result: str) -> None:
    case = yard.call("accepted")
    case.tell(output={"n": 1})
    assert (case.tell(output=output), case.conflict) == (result, result == "conflict")


def test_failure_after_success_and_success_after_failure_are_conflicts(yard: Yard) -> None:
    case = yard.call("accepted")
    case.tell()
    assert case.tell("failed") == "conflict"
    assert case.conflict and case.state == "succeeded"
    case = yard.call("accepted", state="accepted")
    case.tell("failed", attempt=1)
    yard.rows.execute(
        "update counterfoil.tool_calls set state = 'failed', settled_at = now(), settled_by = 'coordinator'"
        " where run_id = %s",
        (case.run,),
    )
    assert case.tell("failed", attempt=1) == "late"
    assert not case.conflict
    assert case.tell(attempt=1) == "conflict"
    assert (case.conflict, case.state, case.attempts) == (True, "failed", ["succeeded"])


def test_an_effect_of_another_calls_is_a_conflict(yard: Yard) -> None:
    one, two = yard.call("open"), yard.call("open")
    assert one.tell(external_id="L-shared") == "accepted"
    assert two.tell(external_id="L-shared") == "conflict"
    assert (one.conflict, two.conflict) == (False, True)


def test_success_without_an_attempt_is_the_newest_doubtful_ones(yard: Yard) -> None:
    for before, after in (
        (["unknown"], ["succeeded"]),
        (["unknown", "open"], ["unknown", "succeeded"]),
        (["unknown", "refused"], ["succeeded", "refused"]),
        (["refused", "refuted"], ["refused", "succeeded"]),
    ):
        case = yard.call(*before)
        assert case.tell() == "accepted"
        assert (case.attempts, case.state) == (after, "succeeded")


def test_an_attempt_that_is_named_is_spoken_for_alone(yard: Yard) -> None:
    case = yard.call("unknown", "open")
    assert case.tell(attempt=1) == "accepted"
    assert (case.attempts, case.state) == (["succeeded", "open"], "succeeded")
    case = yard.call("unknown", "open")
    assert case.tell("failed", {"why": "full"}, attempt=2) == "accepted"
    assert (case.attempts, case.state) == (["unknown", "failed"], "intended")
    assert case.output["error"]["output"] == {"why": "full"}


@pytest.mark.parametrize(
    ("repeat", "attempts", "after", "state"),
    [
        ("never", ["accepted"], ["failed"], "intended"),
        ("keyed", ["unknown", "accepted"], ["failed", "failed"], "intended"),
        ("keyed", ["unknown", "open"], ["failed", "open"], "intended"),
        ("lookup", ["unknown", "open"], ["unknown", "open"], "needs_operator"),
        ("never", ["refuted", "accepted"], ["refuted", "accepted"], "needs_operator"),
    ],
)
def test_a_failure_that_names_no_attempt(
    yard: Yard, repeat: str, attempts: list[str], after: list[str], state: str
) -> None:
    """It speaks for all where a key makes them one, or there is but one; else a person has to say."""
    case = yard.call(*attempts, repeat=repeat)
    assert case.tell("failed") == "accepted"
    assert (case.attempts, case.state) == (after, state)
    life = "select expires_at > now() + interval '23 hours' from counterfoil.runs where id = %(run)s"
    assert case.one(life) == (state == "needs_operator")


def test_what_an_ended_run_caused_is_an_orphan(yard: Yard) -> None:
    case = yard.call("accepted", state="accepted")
    yard.rows.execute(
        "update counterfoil.runs set status = 'cancelled', ended_at = now(), waiting_since = null, due_at = null"
        " where id = %s",
        (case.run,),
    )
    assert case.tell() == "accepted"
    assert case.one("select orphan_at from counterfoil.tool_calls where run_id = %(run)s") is not None
    assert case.one("select status from counterfoil.runs where id = %(run)s") == "cancelled"
