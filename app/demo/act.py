"""One act: a turn that makes a ticket, and the worker that makes it killed before the answer is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from app.cli.errors import TIMEOUT, CommandError
from app.demo.stage import Mode, Stage
from sql.operators import EventRow, list_events
from sql.tool_calls import AttemptRow, CallRow, EvidenceRow, list_attempts, list_calls, list_evidence

TITLE: Final = "The lift is stuck"
ANSWER: Final = "I have opened a ticket."
SCRIPT: Final = [
    {"tool_calls": [{"name": "create_ticket", "arguments": {"title": TITLE}}]},
    {"say": ANSWER},
]
LIMIT_S: Final = 45.0
PAUSE_S: Final = 0.02
TRIES: Final = 3

Say = Callable[[float, str, str], None]  # seconds since the act began, who, what


@dataclass(frozen=True)
class Claim:
    """A worker took the run in hand. at: seconds since 1970."""

    at: float
    owner: str
    number: int | None


@dataclass
class Act:
    """What became of one turn. Times of day are the database's; `began` is the moment of its first event."""

    mode: Mode
    run_id: str = ""
    thread_id: str = ""
    status: str = ""
    seconds: float = 0.0
    killed: int = 0
    killed_pid: int = 0
    killed_at: float = 0.0
    claims: list[Claim] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    tickets: list[dict[str, Any]] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    call: CallRow | None = None
    attempts: list[AttemptRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    @property
    def began(self) -> datetime:
        """When the run was made."""
        return self.events[0].at


class Scene:
    """Watches one run, and says each thing once when it shows: events, leases, tickets."""

    def __init__(self, stage: Stage, act: Act, say: Say) -> None:
        self.stage, self.act, self.say = stage, act, say
        self.started = time.monotonic()
        self.owner: str | None = None

    @property
    def seconds(self) -> float:
        """Since it began."""
        return time.monotonic() - self.started

    def look(self) -> None:
        """Say what is new."""
        run = self.stage.run(self.act.run_id)
        if run.lease_owner not in {None, self.owner}:
            self._claimed(run.lease_owner or "", run.epoch)
        seen = self.act.events[-1].id if self.act.events else 0
        for event in self.stage.read(list_events([run.id], after=seen)):
            self.act.events.append(event)
            if (text := SAID.get(event.event)) is not None:
                self.say(self.seconds, "ledger" if event.event.startswith("attempt") else "run", text)
        for ticket in self.stage.outside(f"/audit/tickets?run_id={run.id}")[len(self.act.tickets) :]:
            self.act.tickets.append(ticket)
            self.say(self.seconds, "tickets", f"{ticket['ticket_id']} is made; its answer is still on its way")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Watch until the condition holds; `CommandError` when it takes too long."""
        while not condition():
            self.stage.check()
            if self.seconds > LIMIT_S:
                raise CommandError(f"{what} did not happen within {LIMIT_S:.0f} s", TIMEOUT)
            time.sleep(PAUSE_S)
            self.look()

    def _claimed(self, owner: str, epoch: int) -> None:
        number = self.stage.number_of(owner)
        again = ("", ": the lease of the dead one is over", ": it is due again")[min(2, len(self.act.claims))]
        self.say(self.seconds, f"worker {number}", f"claims the run, epoch {epoch}{again}")
        self.act.claims.append(Claim(time.time(), owner, number))
        self.owner = owner


SAID: Final = {
    "attempt.open": "intent of an attempt is committed; only now may its request go out",
    "attempt.unknown": "its deadline passed without a reply: in doubt. Nothing is sent; it may settle",
    "attempt.succeeded": "a lookup by the call's mark finds the ticket: it happened, nothing is sent",
    "call.pending": "the model asks for create_ticket; the request goes out, and nothing says so",
    "run.completed": "completed: one answer",
}


def play(stage: Stage, mode: Mode, assistant_id: str, say: Say) -> Act:
    """Play the act; again where the machine was so slow that the answer came before the kill."""
    for _ in range(TRIES):
        act = Act(mode)
        if attempt(stage, act, assistant_id, say):
            return act
        say(act.seconds, "demo", "the answer was there before the kill: once more")
    raise CommandError("this machine answers in bursts; no kill came in time. Try again when it is less busy")


def attempt(stage: Stage, act: Act, assistant_id: str, say: Say) -> bool:
    """Start the turn, kill its worker, and see it through; False when the kill came too late."""
    scene = Scene(stage, act, say)
    message = {"role": "user", "content": json.dumps({"script": SCRIPT})}
    made = stage.ask(act.mode, "/threads/runs", {"assistant_id": assistant_id, "thread": {"messages": [message]}})
    act.run_id, act.thread_id = made["id"], made["thread_id"]
    say(scene.seconds, "client", f'POST /v1/threads/runs: "{TITLE}" → {act.run_id}')
    scene.until(lambda: bool(act.tickets), "the first ticket")
    kill_holder(stage, scene)
    if call_of(stage, act).settled_at is not None:
        act.seconds = scene.seconds
        return False
    stage.start_worker()
    scene.until(lambda: ended(stage, act), "the end of the run")
    scene.look()
    act.seconds = scene.seconds
    collect(stage, act)
    return True


def kill_holder(stage: Stage, scene: Scene) -> None:
    """SIGKILL to the worker that holds the run."""
    act = scene.act
    owner = stage.run(act.run_id).lease_owner
    pid = int((owner or scene.owner or ":0").split(":")[1])
    if pid not in stage.workers:
        raise CommandError(f"the run {act.run_id} is held by nobody that this demo started")
    stage.kill(pid)
    act.killed, act.killed_pid, act.killed_at = stage.numbers[pid], pid, time.time()
    scene.say(scene.seconds, f"worker {act.killed}", f"kill -9 {pid}, its request still out. A new replica is started")


def call_of(stage: Stage, act: Act) -> CallRow:
    """The ticket's call in the database."""
    calls: list[CallRow] = stage.read(list_calls(run_ids=[act.run_id]))
    return calls[-1]


def ended(stage: Stage, act: Act) -> bool:
    """Whether the client sees the end of its run."""
    run = stage.ask(act.mode, f"/threads/{act.thread_id}/runs/{act.run_id}")
    act.status = run["status"]
    return act.status not in {"queued", "in_progress", "requires_action"}


def collect(stage: Stage, act: Act) -> None:
    """Read what all sides know afterwards."""
    messages = stage.ask(act.mode, f"/threads/{act.thread_id}/messages?run_id={act.run_id}")["data"]
    act.answers = [message["content"][0]["text"]["value"] for message in messages if message["content"]]
    act.tickets = stage.outside(f"/audit/tickets?run_id={act.run_id}")
    act.requests = stage.outside(f"/requests?run_id={act.run_id}")
    act.call = call_of(stage, act)
    act.attempts = stage.read(list_attempts([act.call.key]))
    act.evidence = stage.read(list_evidence([act.call.key]))
