"""Needs attention: everything that waits for a person, what costs most on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from flask import Blueprint, render_template, url_for

from app.console import words
from app.console.common import attention, attention_kind, text_of
from app.console.looking import TookTooLong, look, look_at
from sql.console import overview
from sql.operators import AttentionRow, RunRow, list_runs
from sql.tool_calls import AttemptRow, CallRow, list_attempts, list_calls
from sql.vocabulary import Attention, Executor

routes = Blueprint("attention", __name__)
MOST_SHOWN = 200
MOST_READ = 10_001


@dataclass(frozen=True)
class Entry:
    """Something that waits for a person, with what is needed to say why in one line."""

    row: AttentionRow
    run: RunRow | None = None
    call: CallRow | None = None
    attempt: AttemptRow | None = None

    @property
    def risk(self) -> words.Risk:
        """How bad it is to leave it."""
        return words.risk_of(self.row.attention, self.call.repeat if self.call else None)

    @property
    def age_s(self) -> float:
        """For how long it has waited."""
        return (datetime.now(UTC) - self.row.since).total_seconds()

    @property
    def weight(self) -> float:
        """What orders the list: risk × age."""
        return self.risk.weight * max(self.age_s, 1.0)

    @property
    def value(self) -> str:
        """What a form sends to name it."""
        return self.row.run_id + (f" {self.row.tool_call_id}" if self.row.tool_call_id else "")

    @property
    def href(self) -> str:
        """Where it is settled: the call, or the run."""
        if self.call_id is None:
            return url_for("console.runs.show", run_id=self.row.run_id)
        return url_for("console.calls.show", run_id=self.row.run_id, tool_call_id=self.call_id)

    @property
    def call_id(self) -> str | None:
        """The call that it is about, or on whose client the run waits."""
        return self.row.tool_call_id or (self.call.tool_call_id if self.call else None)

    @property
    def verb(self) -> str:
        """What a person does there."""
        if self.call_id is None:
            return "Look"
        return "Answer" if self.row.tool_call_id is None else "Settle"

    @property
    def sentence(self) -> str:
        """Why a person should look, in a sentence."""
        match self.row.attention:
            case Attention.NEEDS_OPERATOR:
                return self._why_operator()
            case Attention.CONFLICT:
                return "What came in later contradicts the verdict: it may have happened more than once."
            case Attention.ORPHAN_EFFECT:
                return "It happened, but its run had ended: neither model nor user knows."
            case Attention.POISONED:
                return "Five workers in a row lost it without progress. It is set aside until a person resumes it."
        if self.call is not None:
            return "Its client was asked for this output and has not sent it. The run waits."
        return "It has waited for its calls for longer than usual; they are being settled by themselves."

    def _why_operator(self) -> str:
        why = words.because(self.row.reason)
        tried = f"Attempt {self.attempt.number}: {words.because(self.attempt.reason)}. " if self.attempt else ""
        if self.attempt is None or self.attempt.reason is None:
            tried = ""
        return f"{tried}{why[:1].upper()}{why[1:]}." if why else f"{tried}Nobody knows whether it happened."


@routes.get("/attention")
def index() -> str:
    """The list, filtered by kind and tool."""
    kind, tool = attention_kind(text_of("kind")), text_of("tool")
    try:
        rows, counted = look(attention(most=MOST_READ), overview())
        shown = [row for row in rows if (kind is None or row.attention == kind) and (not tool or row.tool == tool)]
        shown = shown if kind == Attention.STUCK else without_echoes(shown)
        found = with_details(entries(shown)[:MOST_SHOWN])
    except TookTooLong:
        return render_template("console/attention.html", slow=True, found=[], kinds={}, kind=kind, tool=tool, all=0)
    kinds = {word.value: sum(row.attention == word for row in rows) for word in Attention}
    return render_template(
        "console/attention.html",
        found=found,
        kinds=kinds,
        kind=kind,
        tool=tool,
        all=len(rows),
        chosen=len(shown),
        numbers=counted,
        slow=False,
    )


def entries(rows: Sequence[AttentionRow]) -> list[Entry]:
    """What waits, by risk × age."""
    return sorted((Entry(row) for row in rows), key=lambda entry: -entry.weight)


def without_echoes(rows: Sequence[AttentionRow]) -> list[AttentionRow]:
    """Without runs that are stuck only because a call of theirs waits for a person, which is in the list itself."""
    asked = {row.run_id for row in rows if row.attention == Attention.NEEDS_OPERATOR}
    return [row for row in rows if row.attention != Attention.STUCK or row.run_id not in asked]


def with_details(found: Sequence[Entry]) -> list[Entry]:
    """The same with their runs, calls and newest attempts, in two round trips; ordered anew, as risk is known now."""
    if not found:
        return []
    run_ids = list({entry.row.run_id for entry in found})
    keys = [(e.row.run_id, e.row.tool_call_id) for e in found if e.row.tool_call_id]
    runs, attempts = look(list_runs(ids=run_ids, most=len(run_ids)), list_attempts(keys))
    found_calls = look_at(list_calls(run_ids=run_ids, most=2000))
    calls = {call.key: call for call in found_calls}
    for call in found_calls:
        if call.executor == Executor.CLIENT and call.settled_at is None:
            calls[call.run_id, ""] = call  # what a stuck run waits for
    by_id = {run.id: run for run in runs}
    newest = {(attempt.run_id, attempt.tool_call_id): attempt for attempt in attempts}
    filled = [_filled(entry.row, by_id, calls, newest) for entry in found]
    return sorted(filled, key=lambda entry: -entry.weight)


def _filled(
    row: AttentionRow,
    runs: dict[str, RunRow],
    calls: dict[tuple[str, str], CallRow],
    attempts: dict[tuple[str, str], AttemptRow],
) -> Entry:
    key = (row.run_id, row.tool_call_id or "")
    call = calls.get(key) if row.attention != Attention.POISONED else None
    return Entry(row, runs.get(row.run_id), call, attempts.get(key))
