"""Holds the ledger against the outside world's own trails: what happened twice, what was lost, what was told wrong."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.drill.catalog import TOOLS
from app.drill.clients import Ran
from app.drill.plan import PlannedCall
from app.drill.stage import Stage
from sql.operators import RunRow, list_events, list_runs
from sql.tool_calls import CallRow, list_calls

UNSETTLED: Final = ("pending", "held", "intended", "accepted", "in_doubt")
ACTIVE: Final = ("queued", "in_progress", "requires_action")
BATCH: Final = 250
MOST: Final = 1_000_000


@dataclass(frozen=True)
class Violation:
    """One thing that must not be. kind: duplicate, lost, wrong_output; effects: their ids, as the trails have them."""

    kind: str
    why: str
    run_id: str
    tool_call_id: str = ""
    tool: str = ""
    mark: str = ""
    effects: tuple[str, ...] = ()


@dataclass
class Books:
    """Both sides' records after a drill. Effects by mark: lines of the trails."""

    runs: dict[str, RunRow] = field(default_factory=dict)
    calls: dict[str, list[CallRow]] = field(default_factory=lambda: defaultdict(list))
    effects: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    unknown: int = 0

    @property
    def needs_operator(self) -> int:
        """Runs that have a call that waits for a person."""
        return sum(any(c.state == "needs_operator" for c in calls) for calls in self.calls.values())


async def open_books(stage: Stage, ran: Sequence[Ran]) -> Books:
    """Read the ledger and the trails."""
    books = Books(effects=read_trails(stage.home / "sandbox"))
    as_before = stage.mode == "off"  # which knows no attempts, and of doubt only that it sends again
    books.unknown = unanswered(stage.home / "sandbox") if as_before else 0
    ids = [one.run_id for one in ran]
    for start in range(0, len(ids), BATCH):
        part = ids[start : start + BATCH]
        books.runs |= {run.id: run for run in await stage.read(list_runs(ids=part, most=MOST))}
        calls = await stage.read(list_calls(run_ids=part, most=MOST))
        for call in sorted(calls, key=lambda c: (c.round, c.index)):
            books.calls[call.run_id].append(call)
        if not as_before:
            events = await stage.read(list_events(part))
            books.unknown += sum(event.event == "attempt.unknown" for event in events)
    return books


def read_trails(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The lines of all trails by the mark that their content holds."""
    effects: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for name, marked_by in {(kind.trail, kind.marked_by) for kind in TOOLS.values() if kind.trail}:
        file = folder / f"{name}.jsonl"
        for line in file.read_text().splitlines() if file.exists() else ():
            record = json.loads(line)
            effects[str(record["content"].get(marked_by))].append(record)
    return effects


def unanswered(folder: Path) -> int:
    """How many requests to tools had no answer that says what happened, by the sandbox's access log."""
    entries: dict[int, dict[str, Any]] = defaultdict(dict)
    for line in (folder / "requests.jsonl").read_text().splitlines():
        record = json.loads(line)
        entries[record["request"]] |= record
    tools = [entry for entry in entries.values() if entry.get("tool") != "lookup"]
    return sum(entry.get("answer") != "sent" or (entry.get("status") or 0) >= 500 for entry in tools)


def compare(books: Books, ran: Sequence[Ran]) -> list[Violation]:
    """Everything that must not be."""
    found: list[Violation] = []
    for one in ran:
        found += _of_run(books, one)
    marks = {call.mark: (call, one) for one in ran for call in one.turn.calls}
    for mark, (call, one) in marks.items():
        ids = _ids(books, call)
        if len(ids) > 1:
            lines = books.effects[mark]
            calls = {(line["run_id"], line["tool_call_id"]) for line in lines}
            why = f"{len(ids)} effects of {len(calls)} calls"
            found.append(Violation("duplicate", why, one.run_id, lines[0]["tool_call_id"], call.kind.name, mark, ids))
    return found


def _of_run(books: Books, one: Ran) -> list[Violation]:
    run, calls = books.runs.get(one.run_id), books.calls.get(one.run_id, [])
    if run is None:
        return [Violation("lost", "a run that its client was told of is not in the ledger", one.run_id)]
    found = [v for c, planned in zip(calls, one.turn.calls, strict=False) if (v := _of_call(books, c, planned))]
    cared_for = run.poisoned_at is not None or any(call.state == "needs_operator" for call in calls)
    if run.status in ACTIVE and not cared_for:
        found.append(Violation("lost", f"the run never ended: {run.status}", run.id))
    if run.status in ("failed", "incomplete", "expired"):
        found.append(Violation("lost", f"the run ended {run.status}: {run.error_message}", run.id))
    if run.status == "completed":
        found += _of_words(books, one, calls)
    return found


def _of_call(books: Books, call: CallRow, planned: PlannedCall) -> Violation | None:
    ids = _ids(books, planned)
    where = (call.run_id, call.tool_call_id, call.tool, planned.mark, ids)
    own = [e for e in books.effects[planned.mark] if (e["run_id"], e["tool_call_id"]) == call.key]
    if call.state in UNSETTLED and not (call.state == "pending" and call.executor == "client"):
        return Violation("lost", f"still {call.state} ({call.reason}), and no operator is asked", *where)
    if planned.kind.trail is None:
        return None
    if call.state == "succeeded" and not ids:
        return Violation("lost", "the ledger says that it happened, and it did not", *where)
    if call.state in ("failed", "cancelled") and own and call.told_at is None:
        return Violation("wrong_output", f"the ledger says {call.state} ({call.reason}), and it happened", *where)
    return None


def _of_words(books: Books, one: Ran, calls: Sequence[CallRow]) -> list[Violation]:
    """What the run said at its end, output by output, beside what happened."""
    try:
        outputs = json.loads(one.said)
    except ValueError:
        outputs = None
    planned = one.turn.calls
    if not isinstance(outputs, list) or not len(outputs) == len(planned) == len(calls):
        return [
            Violation(
                "wrong_output", f"{len(planned)} calls asked, {len(calls)} made, said: {one.said[:80]}", one.run_id
            )
        ]
    return [
        Violation("wrong_output", f"told the model {text[:120]}", *call.key, call.tool, p.mark, _ids(books, p))
        for text, call, p in zip(outputs, calls, planned, strict=True)
        if not _is_right(text, call, p, _ids(books, p))
    ]


def _is_right(text: str, call: CallRow, planned: PlannedCall, ids: tuple[str, ...]) -> bool:
    if call.state in ("failed", "cancelled") or call.told_at is not None:
        return True  # whether it is true that nothing happened was asked of the call
    try:
        output = json.loads(text)
    except ValueError:
        return False
    if planned.kind.sandbox is None:
        return bool(output == {"answer": planned.arguments})
    if planned.kind.trail is None:
        return isinstance(output, dict) and planned.kind.id_name in output
    return isinstance(output, dict) and output.get(planned.kind.id_name) in ids


def _ids(books: Books, planned: PlannedCall) -> tuple[str, ...]:
    return tuple(str(line[planned.kind.id_name]) for line in books.effects.get(planned.mark, ()))


def p95(seconds: Sequence[float]) -> float | None:
    """The 95th percentile; None of nothing."""
    ordered: list[float] = sorted(seconds)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))], 3) if ordered else None


def turn_seconds(books: Books, ran: Sequence[Ran], *, touched: bool) -> list[float]:
    """How long completed runs took, from their creation to their end in the ledger."""
    rows = [books.runs[one.run_id] for one in ran if one.touched is touched and one.run_id in books.runs]
    return [
        (row.ended_at - row.created_at).total_seconds() for row in rows if row.ended_at and row.status == "completed"
    ]


def by_tool(books: Books) -> Mapping[str, int]:
    """Calls that wait for a person, by tool."""
    counts: dict[str, int] = defaultdict(int)
    for calls in books.calls.values():
        for call in calls:
            counts[call.tool] += call.state == "needs_operator"
    return {tool: count for tool, count in sorted(counts.items()) if count}
