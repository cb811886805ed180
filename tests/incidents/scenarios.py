"""Incidents with known causes, written as the four logs would show them.

A `World` plays turns against imaginary services and notes what truly happened; `render` writes the logs with the
forms and the noise that the dials ask for. Nothing here knows how the investigator works.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

KINDS: Final = {
    "create_ticket": ("ticket.created", "ticket_id", "TCK-"),
    "send_email": ("email.sent", "message_id", "msg_"),
    "create_invoice": ("invoice.created", "invoice_id", "INV-"),
}


@dataclass
class Dials:
    """How the logs look and what became of them."""

    cut_hash: int | None = 4
    audit_hash: int | None = None
    attempt_header: bool = False
    skew_s: dict[str, float] = field(default_factory=dict)
    json_lines: bool = False
    shuffle: bool = False
    crlf: bool = False
    zipped: bool = False
    replicas: int = 1
    zone: bool = False
    garbage: int = 0
    drop_headers: float = 0.0
    drop_prints: float = 0.0
    lose: float = 0.0
    cut: float = 0.0
    twice: float = 0.0
    start: datetime = datetime(2026, 3, 12, 10, 14, tzinfo=UTC)
    spacing_s: float = 6.0
    background: int = 15
    simple_call_ids: bool = False
    without: tuple[str, ...] = ()


@dataclass
class Truth:
    """What truly happened: duplicated effects with their cause, and other findings."""

    duplicates: dict[frozenset[str], str] = field(default_factory=dict)
    findings: set[tuple[str, str]] = field(default_factory=set)


class World:
    """Plays turns; everything is in true seconds from the start."""

    def __init__(self, seed: int, dials: Dials) -> None:
        self.rng = random.Random(seed)
        self.dials = dials
        self.truth = Truth()
        self.coordinator: list[tuple[float, int, str]] = []
        self.gateway: list[tuple[float, str, str, list[str]]] = []
        self.audit: list[tuple[float, dict[str, Any]]] = []
        self.submitter: list[tuple[float, str]] = []
        self.now = 0.0
        self.runs_of: dict[str, str] = {}
        self._used: set[str] = set()

    def name(self, prefix: str, size: int = 4) -> str:
        while True:
            made = prefix + "".join(self.rng.choices("0123456789abcdef", k=size))
            if made not in self._used:
                self._used.add(made)
                return made

    def turn(self, thread: str | None = None, tool: str | None = None, fingerprint: str | None = None) -> Turn:
        self.now += self.rng.uniform(0.3, 1.7) * self.dials.spacing_s
        return Turn(self, thread or self.name("thr_"), tool or self.rng.choice(list(KINDS)), fingerprint)


class Turn:
    """One run with one tool call, step by step; each step adds the lines that the services would write."""

    def __init__(self, world: World, thread: str, tool: str, fingerprint: str | None) -> None:
        self.w, self.rng, self.thread, self.tool = world, world.rng, thread, tool
        self.run, self.corr = world.name("run_"), world.name("cr_")
        self.call = "call_1" if world.dials.simple_call_ids else world.name("call_", 4)
        self.fingerprint = fingerprint or "".join(self.rng.choices("0123456789abcdef", k=64))
        self.t = world.now
        self.replica = self.rng.randrange(world.dials.replicas)
        self.effects: list[str] = []

    def say(self, text: str, at: float | None = None, replica: int | None = None) -> None:
        ids = f"thread={self.thread} run={self.run} corr={self.corr} "
        who = self.replica if replica is None else replica
        self.w.coordinator.append((self.t if at is None else at, who, ids + text))

    def begin(self, calls: int = 1) -> Turn:
        self.say("create_run model=gpt-4.1")
        self.t += self.rng.uniform(0.5, 2)
        self.say("status=in_progress")
        self.t += self.rng.uniform(0.5, 2)
        self.say(f"status=requires_action tool_calls={calls}")
        self.t += self.rng.uniform(0.005, 0.05)
        return self

    def dispatch(self, replica: int | None = None) -> Turn:
        self.say(f"dispatch_tool name={self.tool} tool_call_id={self.call}", replica=replica)
        self.t += self.rng.uniform(0.05, 0.25)
        return self

    def post(self, status: str = "200", took: float | None = None, attempt: int | None = 1, effect: bool = True,
             effects: int = 1, late: float | None = None) -> float:  # fmt: skip
        took = self.rng.uniform(0.4, 2.6) if took is None else took
        headers = [f"x-corr-id={self.corr}", f"x-run-id={self.run}", f"x-thread-id={self.thread}"]
        headers += [f"body_hash={_cut(self.fingerprint, self.w.dials.cut_hash)}", f"tool_call_id={self.call}"]
        if self.w.dials.attempt_header and attempt is not None:
            headers.append(f"attempt={attempt}")
        self.w.gateway.append((self.t, f"POST /tools/{self.tool}", f"{status} {took:.1f}s", headers))
        for _ in range(effects if effect else 0):
            at = self.t + (took * self.rng.uniform(0.5, 0.98) if late is None else late)
            self.effect(at)
        return self.t + took

    def effect(self, at: float) -> None:
        event, key, prefix = KINDS[self.tool]
        made = self.w.name(prefix, 6)
        self.effects.append(made)
        self.w.runs_of[made] = self.run
        entry = {"event": event, key: made, "created_at": at, "source": "agent-tool-gateway",
                 "request_fingerprint": _cut(self.fingerprint, self.w.dials.audit_hash or self.w.dials.cut_hash)}  # fmt: skip # noqa: E501
        self.w.audit.append((at, entry))

    def tell(self, text: str, at: float) -> None:
        self.w.submitter.append((at, f"corr={self.corr} run={self.run} tool_call_id={self.call} {text}"))

    def result(self, at: float, drop: bool = False) -> Turn:
        """The reply came at `at`: normalize, submit, perhaps drop a duplicate event, go on."""
        self.t = at + self.rng.uniform(0.02, 0.15)
        self.tell(f"normalize_ok bytes={self.rng.randrange(200, 2000)}", self.t)
        self.t += self.rng.uniform(0.05, 0.2)
        self.tell("submit_tool_outputs status=200", self.t)
        if drop:
            self.tell(f"duplicate_event queue_msg_id={self.w.name('qm_')} action=drop", self.t + 0.3)
        return self

    def end(self, status: str = "completed") -> Turn:
        self.t += self.rng.uniform(0.1, 0.6)
        if status == "completed":
            self.say("status=in_progress")
            self.t += self.rng.uniform(0.8, 2)
        self.say(f"status={status}")
        return self

    def same_turn_other_run(self) -> Turn:
        return Turn(self.w, self.thread, self.tool, self.fingerprint)


def _cut(fingerprint: str, length: int | None) -> str:
    return fingerprint if length is None else f"{fingerprint[:length]}..."


def healthy(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post(), drop=w.rng.random() < 0.2).end()


def redispatch(w: World) -> None:
    """Another replica, or the same one after a restart, sends the call again after it was answered."""
    turn = w.turn().begin().dispatch()
    answered = turn.post()
    turn.result(answered, drop=w.rng.random() < 0.5)
    turn.t += w.rng.uniform(0.05, 0.6)
    if w.rng.random() < 0.5:
        turn.dispatch(replica=(turn.replica + 1) % w.dials.replicas)
    turn.post(attempt=None if w.rng.random() < 0.5 else 1)
    turn.end()
    w.truth.duplicates[frozenset(turn.effects)] = "redispatch"


def redispatch_overlap(w: World) -> None:
    """Two replicas dispatch at nearly the same time."""
    turn = w.turn().begin().dispatch()
    first = turn.post(took=w.rng.uniform(1.5, 3))
    turn.t += w.rng.uniform(0.2, 0.9)
    if w.rng.random() < 0.5:
        turn.dispatch(replica=(turn.replica + 1) % w.dials.replicas)
    turn.post(took=w.rng.uniform(1.5, 3))
    turn.result(first).end()
    w.truth.duplicates[frozenset(turn.effects)] = "redispatch"


def redispatch_after_timeout(w: World) -> None:
    """The first POST timed out; the coordinator dispatched the call again."""
    turn = w.turn().begin().dispatch()
    turn.t = turn.post("timeout", 10.0, late=w.rng.uniform(1, 9))
    turn.t += w.rng.uniform(0.2, 3)
    turn.dispatch()
    turn.result(turn.post()).end()
    w.truth.duplicates[frozenset(turn.effects)] = "redispatch"


def gateway_retry(w: World) -> None:
    """One dispatch; timeout, reset or 5xx after the effect; the gateway sent it again."""
    turn = w.turn().begin().dispatch()
    status = w.rng.choice(["timeout", "reset", "-", "502", "503", "504", "500"])
    took = 10.0 if status in ("timeout", "-") else w.rng.uniform(0.5, 4)
    turn.t = turn.post(status, took)
    turn.t += w.rng.uniform(0.1, 2)
    turn.result(turn.post(attempt=2), drop=w.rng.random() < 0.3).end()
    w.truth.duplicates[frozenset(turn.effects)] = "gateway_retry"


def gateway_retry_thrice(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.t = turn.post("504", 3.0) + 0.4
    turn.t = turn.post("503", 0.3, attempt=2, effect=False) + 0.8
    turn.result(turn.post(attempt=3)).end()
    w.truth.duplicates[frozenset(turn.effects)] = "gateway_retry"


def client_resubmission(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post()).end()
    w.now += w.rng.uniform(1, 60)
    other = w.turn(turn.thread, turn.tool, turn.fingerprint).begin().dispatch()
    other.result(other.post()).end()
    w.truth.duplicates[frozenset(turn.effects + other.effects)] = "client_resubmission"


def client_impatient(w: World) -> None:
    """The user clicks again during the spinner: the two runs overlap."""
    turn = w.turn().begin()
    other = turn.same_turn_other_run()
    other.t = turn.t + w.rng.uniform(0.3, 2)
    turn.dispatch()
    turn.result(turn.post()).end()
    other.begin().dispatch()
    other.result(other.post()).end()
    w.truth.duplicates[frozenset(turn.effects + other.effects)] = "client_resubmission"


def model_repeat(w: World) -> None:
    turn = w.turn().begin(2).dispatch()
    start = turn.t
    first = turn.post()
    turn.result(first)
    one = turn.call
    turn.call = w.name("call_", 4) if not w.dials.simple_call_ids else "call_2"
    turn.t = start + w.rng.uniform(0.01, 0.1)
    turn.dispatch()
    turn.result(turn.post()).end()
    assert one != turn.call
    w.truth.duplicates[frozenset(turn.effects)] = "model_repeat"


def model_repeat_rounds(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post())
    turn.t += 0.3
    turn.say("status=in_progress")
    turn.t += w.rng.uniform(1, 3)
    turn.say("status=requires_action tool_calls=1")
    turn.call = w.name("call_", 4) if not w.dials.simple_call_ids else "call_2"
    turn.dispatch()
    turn.result(turn.post()).end()
    w.truth.duplicates[frozenset(turn.effects)] = "model_repeat"


def external_duplicate(w: World) -> None:
    turn = w.turn().begin().dispatch()
    if w.rng.random() < 0.6:
        turn.result(turn.post(effects=2)).end()
    else:
        end = turn.post()
        turn.effect(end + w.rng.uniform(0.2, 4))
        turn.result(end).end()
    w.truth.duplicates[frozenset(turn.effects)] = "external_duplicate"


# Look-alikes: nothing happened twice.


def retry_without_effect(w: World) -> None:
    turn = w.turn().begin().dispatch()
    status = w.rng.choice(["503", "502", "timeout", "reset", "-"])
    turn.t = turn.post(status, 10.0 if status == "timeout" else 0.4, effect=False)
    turn.t += w.rng.uniform(0.2, 1.5)
    turn.result(turn.post(attempt=2)).end()


def equal_requests(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post()).end()
    w.now += w.rng.uniform(0, 20)
    other = w.turn(None, turn.tool, turn.fingerprint).begin().dispatch()
    other.result(other.post()).end()


def dropped_events(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post(), drop=True)
    turn.tell(f"duplicate_event queue_msg_id={w.name('qm_')} action=drop", turn.t + 0.6)
    turn.end()


def far_apart(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post()).end()
    w.now += 660
    other = w.turn(turn.thread, turn.tool, turn.fingerprint).begin().dispatch()
    other.result(other.post()).end()


def retry_beside_equal(w: World) -> None:
    """A 503 without effect, its retry, and an equal request of another thread in between."""
    turn = w.turn().begin().dispatch()
    other = w.turn(None, turn.tool, turn.fingerprint)
    other.t = turn.t - 1.5
    turn.t = turn.post("503", 0.3, effect=False) + w.rng.uniform(0.2, 1)
    turn.result(turn.post(attempt=2)).end()
    other.begin().dispatch()
    other.result(other.post()).end()


# Other findings.


def stalled_undispatched(w: World) -> None:
    turn = w.turn().begin()
    w.truth.findings.add(("stalled", turn.run))


def stalled_dispatched(w: World) -> None:
    turn = w.turn().begin().dispatch()
    if w.rng.random() < 0.5:
        turn.post("timeout", 10.0, effect=False)
    w.truth.findings.add(("stalled", turn.run))


def stalled_unsubmitted(w: World) -> None:
    turn = w.turn().begin().dispatch()
    end = turn.post()
    if w.rng.random() < 0.5:
        turn.tell("normalize_ok bytes=77", end + 0.1)
    w.truth.findings.add(("stalled", turn.run))


def stalled_refused(w: World) -> None:
    turn = w.turn().begin().dispatch()
    end = turn.post()
    turn.tell("normalize_ok bytes=77", end + 0.1)
    word = w.rng.choice(["submit_failed status=400", "submit_tool_outputs status=409", "submit_failed status=500"])
    turn.tell(word, end + 0.3)
    w.truth.findings.add(("stalled", turn.run))


def orphan(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.t = turn.post() + 0.1
    turn.end(w.rng.choice(["failed", "expired", "cancelled"]))
    w.truth.findings.add(("orphan_effect", turn.run))


def orphan_unknown_run(w: World) -> None:
    turn = w.turn()
    turn.t += 3
    turn.post()
    w.truth.findings.add(("orphan_effect", turn.run))


def missing(w: World) -> None:
    turn = w.turn().begin().dispatch()
    turn.result(turn.post(effect=False)).end()
    w.truth.findings.add(("missing_effect", turn.run))


Scenario = Callable[[World], None]
CAUSES: Final[tuple[Scenario, ...]] = (
    redispatch, redispatch_overlap, redispatch_after_timeout, gateway_retry, gateway_retry_thrice,
    client_resubmission, client_impatient, model_repeat, model_repeat_rounds, external_duplicate,
)  # fmt: skip
BENIGN: Final[tuple[Scenario, ...]] = (
    healthy, retry_without_effect, equal_requests, dropped_events, far_apart, retry_beside_equal,
)  # fmt: skip
FINDINGS: Final[tuple[Scenario, ...]] = (
    stalled_undispatched, stalled_dispatched, stalled_unsubmitted, stalled_refused, orphan, orphan_unknown_run, missing,
)  # fmt: skip


def play(seed: int, dials: Dials, *scenarios: Scenario) -> World:
    """Play the scenarios in a random place among healthy turns."""
    world = World(seed, dials)
    turns: list[Scenario] = [healthy] * dials.background + list(scenarios)
    world.rng.shuffle(turns)
    for turn in turns:
        turn(world)
    return world


class Writer:
    """Writes a world's logs into a folder, with the dials' forms and noise."""

    def __init__(self, world: World) -> None:
        self.w, self.d, self.rng = world, world.dials, world.rng

    def stamp(self, source: str, at: float) -> datetime:
        return self.d.start + timedelta(milliseconds=round((at + self.d.skew_s.get(source, 0.0)) * 1000))

    def iso(self, source: str, at: float) -> str:
        moment = self.stamp(source, at)
        if self.d.zone and self.rng.random() < 0.5:
            return moment.astimezone(timezone(timedelta(hours=2))).isoformat(timespec="milliseconds")
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"

    def lines(self, source: str, entries: list[tuple[float, str]]) -> list[str]:
        made = []
        for at, text in sorted(entries):
            level = "WARN " if "duplicate_event" in text else "INFO "
            line = f"{self.iso(source, at)} {source} {level} {text}"
            if self.rng.random() < self.d.lose:
                continue
            if self.rng.random() < self.d.cut:
                line = line[: self.rng.randrange(10, len(line))]
            made += [line] * (2 if self.rng.random() < self.d.twice else 1)
        return self.noise(made)

    def noise(self, lines: list[str]) -> list[str]:
        for _ in range(self.d.garbage):
            junk = self.rng.choice(["#### rotated ####", "Traceback (most recent call last):", "\x00\x01\x02", "}{"])
            lines.insert(self.rng.randrange(len(lines) + 1), junk)
        if self.d.shuffle:
            self.rng.shuffle(lines)
        return lines

    def gateway(self) -> list[str]:
        blocks = []
        for at, request, status, headers in sorted(self.w.gateway):
            if self.rng.random() < self.d.lose:
                continue
            clock = self.stamp("gateway", at).strftime("%H:%M:%S.%f")[:-3]
            kept = [h for h in headers if self.rng.random() >= self.d.drop_headers or h.startswith("body_hash")]
            kept = [h for h in kept if not h.startswith("body_hash") or self.rng.random() >= self.d.drop_prints]
            block = f"{clock}Z {request} {status}\n"
            block += "".join(f"  {'  '.join(part)}\n" for part in (kept[:3], kept[3:]) if part)
            blocks += [block] * (2 if self.rng.random() < self.d.twice else 1)
        return self.noise(blocks)

    def audit(self) -> str:
        entries = []
        for at, entry in sorted(self.w.audit, key=lambda pair: pair[0]):
            if self.rng.random() < self.d.lose:
                continue
            made = {**entry, "created_at": self.iso("audit", at)}
            if self.rng.random() < self.d.drop_prints:
                made.pop("request_fingerprint")
            entries += [made] * (2 if self.rng.random() < self.d.twice else 1)
        if self.d.shuffle:
            self.rng.shuffle(entries)
        if self.d.json_lines:
            return "".join(json.dumps(entry) + "\n" for entry in entries)
        return json.dumps(entries, indent=2)

    def write(self, folder: Path) -> dict[str, list[str]]:
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, list[str]] = {}
        for replica in range(self.d.replicas):
            mine = [(at, text) for at, who, text in self.w.coordinator if who == replica]
            text = "\n".join(self.lines("coordinator", mine)) + "\n"
            self.put(files, folder, "coordinator", f"coordinator-{replica}.log", text)
        self.put(files, folder, "gateway", "gateway.log", "\n".join(self.gateway()))
        self.put(files, folder, "audit", "audit.json", self.audit())
        text = "\n".join(self.lines("submitter", self.w.submitter)) + "\n"
        self.put(files, folder, "submitter", "submitter.log", text)
        return {name: paths for name, paths in files.items() if name not in self.d.without}

    def put(self, files: dict[str, list[str]], folder: Path, source: str, name: str, text: str) -> None:
        data = text.replace("\n", "\r\n" if self.d.crlf else "\n").encode()
        path = folder / (name + ".gz" if self.d.zipped else name)
        path.write_bytes(gzip.compress(data) if self.d.zipped else data)
        files.setdefault(source, []).append(str(path))
