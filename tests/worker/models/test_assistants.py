"""The provider `assistants`, with this product's own server as the remote, and a network between that loses things.

Two systems on two databases: the remote has the API, a worker and no tools; ours has a worker and the sandbox's
tools, and its ledger is what the outside world is compared with.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from sql.execute import execute
from sql.keys import create_key
from tests.support.agents import Agents, catalog_text
from tests.support.ledger import asks, call, says
from tests.support.lossy_proxy import Loses, LossyProxy, nothing
from tests.support.processes import Processes, WebProcess, wait_until
from tests.support.sandbox_process import SandboxProcess, start_sandbox
from worker.models import AskedCall, Failed, Incomplete, PastCall, TurnRequest
from worker.models.assistants import ended, messages_of, outputs_for, pace_of

MODEL = '[models."remote"]\nprovider = "assistants"\nbase_url = "{url}/v1"\napi_key = "{key}"\nmodel = "{assistant}"\n'


@dataclass
class Remote:
    """The remote service."""

    web: WebProcess
    key: str
    assistant: str = ""
    http: httpx.Client = field(default_factory=httpx.Client)

    def get(self, path: str) -> Any:
        answer = self.http.get(f"{self.web.url}/v1{path}", headers={"Authorization": f"Bearer {self.key}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, body: object = None) -> Any:
        answer = self.http.post(
            f"{self.web.url}/v1{path}", json=body or {}, headers={"Authorization": f"Bearer {self.key}"}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def remote(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    dsn, key = new_database(), f"cf_{secrets.token_hex(16)}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        execute(connection, create_key(project="r", sha256=hashlib.sha256(key.encode()).digest(), hint=key[-4:]))
    with Processes(tmp_path_factory.mktemp("remote")) as processes:
        remote = Remote(processes.start_web(dsn), key)
        processes.start_worker(dsn, POLL_S=0.2)
        remote.assistant = remote.post("/assistants", {"model": "scripted"})["id"]
        yield remote


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with start_sandbox(tmp_path_factory.mktemp("sandbox")) as sandbox:
        yield sandbox


class Ours(Agents):
    """Our side: a worker whose model is the remote's assistant, reached through a proxy."""

    proxy: LossyProxy

    def start(self, remote: Remote, *, answers: Loses = nothing, requests: Loses = nothing) -> LossyProxy:
        """A worker, and the proxy between it and the remote; leave the proxy at the end."""
        self.proxy = LossyProxy(remote.web.url, answers=answers, requests=requests)
        model = MODEL.format(url=self.proxy.url, key=remote.key, assistant=remote.assistant) + "max_attempts = 20\n"
        (self.folder / "counterfoil.toml").write_text(catalog_text(self.sandbox.url) + model)
        self.start_worker()
        return self.proxy

    def new_run(self, *turns: dict[str, Any], **more: Any) -> str:
        """A run of the remote's model; its script is played over there."""
        run = self.book.new_run(*turns, due_in_s=3600, **more)
        self.book.raw.execute(
            "update counterfoil.runs set model = 'remote', due_at = counterfoil.db_now() where id = %s", (run,)
        )
        self.book.raw.execute("notify counterfoil")
        return run

    def thread_of(self, run: str) -> str:
        """The remote thread of a run, once there is one."""
        query = "select thread_id from counterfoil.remote_threads where run_id = %s"
        found = wait_until(lambda: self.book.raw.execute(query, (run,)).fetchone(), what="the remote thread")
        return str(found[0])

    def texts(self, run: str) -> list[str]:
        """What the run wrote, in order."""
        rows = self.book.rows("select content from counterfoil.messages where run_id = %s order by seq", run)
        return [row.content[0]["text"]["value"] for row in rows]


@pytest.fixture
def ours(database: str, tmp_path: Path, outside: SandboxProcess, processes: Processes) -> Iterator[Ours]:
    outside.post("/reset")
    ours = Ours(database, tmp_path, outside, processes)
    yield ours
    ours.book.close()


TICKET = call("create_ticket", title="Lift stuck")


def test_rounds_messages_and_tools(ours: Ours, remote: Remote) -> None:
    """Two batches through our ledger; what the model says between them are messages of ours, each once."""
    with ours.start(remote):
        first = {"say": "I shall open one.", **asks(TICKET, call("create_ticket", title="Another"))}
        run = ours.new_run(first, asks(call("get_ticket", ticket_id="T-0")), says("{{all_outputs}}"))
        ours.book.await_run(run, "completed")
        outputs = [ours.book.output(run, index) for index in range(3)]
        assert ours.texts(run)[0] == "I shall open one."
        assert [json.loads(one) for one in json.loads(ours.texts(run)[1])] == outputs
        assert len(ours.effects(run)) == 2
        row = ours.book.run(run)
        assert row.prompt_tokens > 0 and row.rounds == 3
        [theirs] = remote.get(f"/threads/{ours.thread_of(run)}/runs")["data"]
        assert (theirs["status"], theirs["metadata"]) == ("completed", {"counterfoil_run": run})


@pytest.mark.parametrize("each", [2, 3])
def test_a_network_that_loses_answers_makes_nothing_twice(ours: Ours, remote: Remote, each: int) -> None:
    """Each second or third answer is lost after its request was done, creations and submissions among them."""
    with ours.start(remote, answers=lambda number, _method, _path: number % each == 0) as proxy:
        run = ours.new_run(asks(TICKET), asks(call("create_ticket", title="Another")), says("{{all_outputs}}"))
        ours.book.await_run(run, "completed")
        assert proxy.lost
        assert len(ours.effects(run)) == 2
        [theirs] = remote.get(f"/threads/{ours.thread_of(run)}/runs")["data"]
        assert theirs["status"] == "completed"
        assert len(remote.get(f"/threads/{theirs['thread_id']}/runs/{theirs['id']}/steps")["data"]) == 3


def first_post(ending: str) -> Loses:
    """Loses the first POST whose path ends so."""
    seen: list[str] = []

    def loses(_number: int, method: str, path: str) -> bool:
        if method != "POST" or not path.endswith(ending) or seen:
            return False
        seen.append(path)
        return True

    return loses


@pytest.mark.parametrize("ending", ["/threads", "/runs", "/submit_tool_outputs"])
@pytest.mark.parametrize("way", ["answers", "requests"])
def test_each_step_lost_on_its_way_there_or_back(ours: Ours, remote: Remote, ending: str, way: str) -> None:
    with ours.start(remote, **{way: first_post(ending)}):
        run = ours.new_run(asks(TICKET), says())
        ours.book.await_run(run, "completed")
        assert len(ours.effects(run)) == 1
        assert len(remote.get(f"/threads/{ours.thread_of(run)}/runs")["data"]) == 1


def test_another_worker_goes_on_where_one_was_killed(ours: Ours, remote: Remote) -> None:
    with ours.start(remote):
        run = ours.new_run(asks(TICKET), says("{{outputs.0}}", delay_ms=1500))
        ours.book.await_call(run, "succeeded")
        ours.processes.started[-1].kill()
        ours.start_worker()
        ours.book.await_run(run, "completed")
        assert len(ours.effects(run)) == 1
        assert len(remote.get(f"/threads/{ours.thread_of(run)}/runs")["data"]) == 1


def test_the_remotes_ends_are_ours(ours: Ours, remote: Remote) -> None:
    with ours.start(remote):
        failed = ours.new_run({"fail": {"code": "rate_limit_exceeded", "message": "no more"}})
        cut = ours.new_run({"say": "half", "incomplete": "max_completion_tokens"})
        cancelled = ours.new_run(says("never", delay_ms=60000))
        thread = ours.thread_of(cancelled)
        [theirs] = wait_until(lambda: remote.get(f"/threads/{thread}/runs")["data"], what="the remote run")
        remote.post(f"/threads/{thread}/runs/{theirs['id']}/cancel")
        for run in (failed, cut, cancelled):
            ours.book.await_run(run)
        assert (ours.book.run(failed).error_code, ours.book.run(failed).error_message) == (
            "rate_limit_exceeded",
            "no more",
        )
        assert (ours.book.run(cut).incomplete_reason, ours.texts(cut)) == ("max_completion_tokens", ["half"])
        assert ours.book.run(cancelled).error_message == "the remote run was cancelled"


def test_a_wrong_key_ends_the_run(ours: Ours, remote: Remote) -> None:
    remote.key = "cf_wrong"
    with ours.start(remote):
        run = ours.new_run(says())
        ours.book.await_run(run, "failed")
        assert "401" in ours.book.run(run).error_message


# Pure -----------------------------------------------------------------------------------------------


def test_a_batch_is_handed_in_only_if_it_is_our_last() -> None:
    past = PastCall("run_1", 1, 0, 0, "call_ours", "theirs", "t", "{}", "out")
    request = TurnRequest("run_1", "thread_1", "m", 1, None, (), {}, (), (past,), 0)
    assert outputs_for((AskedCall("theirs", "t", "{}"),), request) == [{"tool_call_id": "theirs", "output": "out"}]
    assert outputs_for((AskedCall("new", "t", "{}"),), request) is None
    first = TurnRequest("run_1", "thread_1", "m", 0, None, (), {}, (), (), 0)
    assert outputs_for((AskedCall("theirs", "t", "{}"),), first) is None


def test_messages_belong_to_the_turn_between_two_batches() -> None:
    def wrote(id: str) -> dict[str, Any]:
        return {"type": "message_creation", "step_details": {"message_creation": {"message_id": id}}}

    steps = [wrote("a"), {"type": "tool_calls"}, wrote("b"), wrote("c"), {"type": "tool_calls"}]
    assert [messages_of(steps, turn) for turn in range(3)] == [["a"], ["b", "c"], []]


def test_ends_and_paces() -> None:
    assert ended({"status": "expired"}, None).end == Failed("server_error", "the remote run was expired")
    assert ended({"status": "incomplete"}, "x").end == Incomplete("max_completion_tokens")
    odd = {"status": "failed", "last_error": {"code": "odd", "message": "why"}}
    assert ended(odd, None).end == Failed("server_error", "why")
    assert [pace_of({"openai-poll-after-ms": hint}) for hint in ("250", "", "x", "99999999")] == [0.25, 2.0, 2.0, 60.0]
