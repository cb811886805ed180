"""The case of one call: all that is known of it, what may be said of it, and what saying so would do."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from app.console import words
from app.console.common import attention, found_or_404
from app.console.looking import look, look_at
from app.resolution import DOUBTFUL, Refused, Unusable, Verdict, Word, consequences
from sql.console import CallPayloads, EvidenceRow, PayloadRow, evidence_of_run, payloads_of_calls, read_payloads
from sql.operators import RunRow, list_runs
from sql.sealing import unseal
from sql.tool_calls import AttemptRow, CallFacts, CallRow, list_attempts, list_calls, load_call
from sql.vocabulary import CallState, Executor, Repeat

MOST_CALLS: Final = 500
MOST_SHOWN: Final = 20_000  # bytes of a payload
TITLES: Final = {
    Verdict.HAPPENED: (
        "It happened",
        "You found its effect outside. The model gets the output that you give, and goes on.",
    ),
    Verdict.RETRY: ("It did not happen: send again", "You looked, and it is not there. One more attempt goes out."),
    Verdict.FAILED: ("It did not happen: tell the model", "The call fails, and the model decides what to do about it."),
    Verdict.LOOKUP: ("Look again now", "Ask the tool's lookup once more, at once. Decides nothing by itself."),
    Verdict.CANCEL_RUN: (
        "Cancel the run",
        "The turn ends. What is in doubt is still looked up or stays yours to settle.",
    ),
    Verdict.SEEN: ("Seen", "Nothing is changed; it leaves this list until newer evidence comes."),
}
FOR_CLIENT: Final = {
    Verdict.HAPPENED: (
        "Answer in its place",
        "Hand in the output that the client never sent. The model goes on with it.",
    ),
    Verdict.FAILED: ("Fail the call", "The model is told that it did not happen, and goes on."),
}


@dataclass(frozen=True)
class Proof:
    """A piece of evidence with its body as text, and whether it counts for the attempts in doubt."""

    row: EvidenceRow
    body: str | None
    counts: str
    strength: int


@dataclass(frozen=True)
class Choice:
    """Something that may be said of the call; refusal: why it may not, None when it may; never: nor will it."""

    verdict: Verdict
    title: str
    meaning: str
    refusal: str | None
    never: bool = False


@dataclass(frozen=True)
class Preview:
    """What saying it would do: (what, before, after) of each row; told: what the model gets, None for nothing yet."""

    title: str
    rows: list[tuple[str, str, str]]
    told: str | None
    after: str
    cli: str


@dataclass(frozen=True)
class Case:
    """All that is known of a call."""

    run: RunRow
    call: CallRow
    facts: CallFacts
    attempts: list[AttemptRow]
    evidence: list[Proof]
    others_open: int
    arguments: str
    output: str | None
    attention: list[str] = field(default_factory=list)

    @property
    def client(self) -> bool:
        """Whether its client executes it."""
        return self.call.executor == Executor.CLIENT

    @property
    def under_way_until(self) -> datetime | None:
        """Until when a request may still be under way; None when it cannot be."""
        until = max((a.over_at for a in self.attempts if a.state in DOUBTFUL), default=None)
        return until if until is not None and until > self.facts.now else None

    @property
    def left_s(self) -> float:
        """For how long a request may still be under way."""
        return (self.under_way_until - self.facts.now).total_seconds() if self.under_way_until else 0.0

    @property
    def key_age_s(self) -> float | None:
        """How old its idempotency key is for the tool: since the first intent."""
        if not self.attempts:
            return None
        return (self.facts.now - self.attempts[0].intended_at).total_seconds()

    @property
    def doubtful(self) -> list[AttemptRow]:
        """The attempts of which nobody knows what they did."""
        return [attempt for attempt in self.attempts if attempt.state in DOUBTFUL]

    @property
    def headline(self) -> str:
        """What the matter is, in one sentence."""
        if "conflict" in self.attention:
            return "It may have happened more than once"
        match self.call.state:
            case CallState.SUCCEEDED:
                return "It happened"
            case CallState.FAILED:
                return "It did not happen"
            case CallState.CANCELLED:
                return "Cancelled before anything happened"
            case CallState.PENDING if self.client:
                return "Its client has not answered"
            case CallState.NEEDS_OPERATOR if self.client:
                return "Its client has not answered"
            case CallState.NEEDS_OPERATOR if not self.doubtful:
                return "It needs your decision"
            case CallState.NEEDS_OPERATOR | CallState.IN_DOUBT:
                return "Nobody knows whether it happened"
            case CallState.INTENDED | CallState.ACCEPTED:
                return "Its request is out"
        return "It has not been sent"

    @property
    def told(self) -> str:
        """What the matter is, in a few more."""
        tool = f"{self.call.tool} {words.REPEAT[self.call.repeat]}."
        if self.client:
            return f"{self.call.tool} is the client's to execute; the run waits for submit_tool_outputs."
        if not self.attempts:
            return f"No request has been sent. {tool}"
        last = self.attempts[-1]
        many = words.plural(len(self.attempts), "attempt")
        why = f": {words.because(last.reason)}" if last.reason else ""
        return f"{many}; the last one is {last.state.replace('_', ' ')}{why}. {tool}"


def read_case(run_id: str, tool_call_id: str) -> Case:
    """Reads it in two round trips. Raises 404."""
    runs, calls, facts, attempts, evidence, payloads, why = look(
        list_runs(ids=[run_id]),
        list_calls(run_ids=[run_id], most=MOST_CALLS),
        load_call(run_id, tool_call_id),
        list_attempts([(run_id, tool_call_id)]),
        evidence_of_run(run_id),
        payloads_of_calls(run_id),
        attention([run_id]),
    )
    mine = [call for call in calls if call.tool_call_id == tool_call_id] if facts is not None else []
    call = found_or_404(mine, "call", tool_call_id)
    pieces = [one for one in evidence if one.tool_call_id == tool_call_id]
    lies: CallPayloads = next(one for one in payloads if one.tool_call_id == tool_call_id)
    texts = _texts([lies.arguments, lies.output, *(one.body for one in pieces)])
    doubtful = [a for a in attempts if a.state in DOUBTFUL]
    return Case(
        run=runs[0],
        call=call,
        facts=facts,
        attempts=attempts,
        evidence=_ranked(pieces, call, doubtful, texts),
        others_open=sum(one.settled_at is None and one.told_at is None for one in calls if one is not call),
        arguments=texts.get(lies.arguments) or "",
        output=texts.get(lies.output) if lies.output else None,
        attention=[row.attention for row in why if row.tool_call_id in (None, tool_call_id)],
    )


def _texts(ids: Sequence[UUID | None]) -> dict[UUID, str]:
    wanted = [id for id in ids if id is not None]
    rows: list[PayloadRow] = look_at(read_payloads(wanted))
    return {row.id: _text(row) for row in rows}


def _text(row: PayloadRow) -> str:
    if row.bytes is None:
        return "(scrubbed: its time was over)"
    opened = unseal(row.bytes, row.key_id)
    if opened is None:
        return f"(encrypted with key {row.key_id}, which this server has not; {words.size(row.length)})"
    text = bytes(opened[:MOST_SHOWN]).decode("utf-8", "replace")
    cut = f"\n… {words.size(row.length)} in all" if (row.length or 0) > MOST_SHOWN else ""
    return words.pretty(text) + cut


def _ranked(
    pieces: Sequence[EvidenceRow], call: CallRow, doubtful: Sequence[AttemptRow], texts: dict[UUID, str]
) -> list[Proof]:
    """Strongest first, then newest first."""
    proofs = [
        Proof(one, texts.get(one.body) if one.body else None, _counts(one, doubtful), _strength(one)) for one in pieces
    ]
    return sorted(proofs, key=lambda proof: (-proof.strength, -proof.row.id))


def _strength(one: EvidenceRow) -> int:
    """Of what says nothing, nothing."""
    return 0 if one.says in ("unknown", "no_answer") else words.STRENGTH.get(one.kind, 1)


def _counts(one: EvidenceRow, doubtful: Sequence[AttemptRow]) -> str:
    """For which attempts a piece of evidence counts, in words."""
    if one.says in ("unknown", "no_answer"):
        return "decides nothing"
    if one.kind == "lookup" and one.says in ("none", "nothing"):
        early = [a.number for a in doubtful if a.over_at > one.at]
        if early:
            return f"too early for attempt {', '.join(map(str, early))}: it could still take effect"
        return "covers all attempts until then"
    if one.attempt is not None:
        return f"attempt {one.attempt}" if one.kind != "operator" else f"attempts up to {one.attempt}"
    return "the call"


def choices_of(case: Case, *, may: bool) -> list[Choice]:
    """What may be said of the call, each with why not."""
    found = []
    for verdict in Verdict:
        if verdict == Verdict.SEEN and not {"conflict", "orphan_effect"} & set(case.attention):
            continue
        if case.client and verdict in (Verdict.RETRY, Verdict.LOOKUP):
            continue
        if case.call.settled_at is not None and verdict != Verdict.SEEN:
            continue
        title, meaning = (FOR_CLIENT if case.client else {}).get(verdict, TITLES[verdict])
        refusal, never = None if may else "your role is viewer", False
        try:
            consequences(case.facts, case.attempts, _trial(case, verdict))
        except Refused as refused:
            refusal, never = refusal or str(refused), isinstance(refused, Unusable)
        found.append(Choice(verdict, title, meaning, refusal, never))
    return found


def _trial(case: Case, verdict: Verdict) -> Word:
    return Word(
        case.call.run_id, case.call.tool_call_id, verdict, output="null" if verdict == Verdict.HAPPENED else None
    )


def preview_of(case: Case, word: Word, reason: str) -> Preview:
    """What saying it would change, as the rows stand now. Raises `Refused`."""
    found = consequences(case.facts, case.attempts, word)
    states = {attempt.number: attempt.state for attempt in case.attempts}
    rows = [(f"attempt {number}", states[number], state.value) for number, state in found.attempts.items()]
    if found.state is not None:
        rows.insert(0, (f"call {case.call.tool_call_id}", case.call.state, found.state.value))
    after = _after(case, word.verdict, found.settles)
    if word.verdict == Verdict.CANCEL_RUN:
        rows.append((f"run {case.run.id}", case.run.status, "cancelled"))
    elif found.settles and not case.facts.ended and case.run.status == "requires_action" and not case.others_open:
        rows.append((f"run {case.run.id}", case.run.status, "queued"))
    if word.verdict == Verdict.SEEN:
        rows.append((f"call {case.call.tool_call_id}", "wants attention", "seen"))
    if found.says is not None:
        rows.append(("evidence", "–", f"operator: {words.says(found.says)}"))
    rows.append(("audit", "–", f"resolve_call {word.verdict.value}"))
    told = found.output if found.settles and not case.facts.ended else None
    return Preview(TITLES[word.verdict][0], rows, told, after, command(word, reason))


def _after(case: Case, verdict: Verdict, settles: bool) -> str:
    if verdict == Verdict.CANCEL_RUN:
        return "The run ends now; the model is told nothing."
    if verdict == Verdict.SEEN:
        return "Nothing else happens."
    if case.facts.ended:
        return f"The run has ended ({case.run.status}): the model is told nothing, the ledger knows."
    if verdict == Verdict.RETRY:
        kind = "with the same idempotency key" if case.call.repeat == Repeat.KEYED else "once more"
        return f"A worker sends it {kind} within about 2 s; the model waits."
    if not settles:
        return "A worker looks it up now; the model waits."
    if case.others_open:
        return f"The run still waits for {words.plural(case.others_open, 'other call')}."
    return "The run goes on at once with this."


def command(word: Word, reason: str) -> str:
    """The same by the command line."""
    parts = ["counterfoil", "calls", "resolve", word.run_id, word.tool_call_id, "--verdict", word.verdict.value]
    if word.output is not None:
        parts += ["--output", word.output]
    if word.external_id is not None:
        parts += ["--external-id", word.external_id]
    if word.attempt is not None:
        parts += ["--attempt", str(word.attempt)]
    return " ".join(shlex.quote(part) for part in [*parts, "--reason", reason or "…"])
