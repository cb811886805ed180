"""Statements of evidence: what anybody learnt of a call, never fenced.

Order within a transaction that has locked the runs: payloads, `insert_evidence`, `raise_conflicts`,
`move_attempts`, `settle_calls`, `note_calls`, `own_effects`, `contest_effects`, then `wake_runs`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sql.ledger import columns
from sql.statement import Statement, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class Evidence:
    """One piece of evidence.

    says: happened, accepted, nothing, failed, unknown, found, none, several, no_answer or an operator's word.
    at: None for now; of a lookup the database's time before it began. source: who brought it. body: a
    payload's id. duration in seconds.
    """

    run_id: str
    tool_call_id: str
    attempt: int | None
    kind: str
    says: str
    source: str
    reason: str | None = None
    at: datetime | None = None
    http_status: int | None = None
    external_id: str | None = None
    body: UUID | None = None
    body_bytes: int | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class AttemptMove:
    """What is now known of an attempt."""

    run_id: str
    tool_call_id: str
    number: int
    state: str
    reason: str | None = None
    http_status: int | None = None
    external_id: str | None = None


@dataclass(frozen=True)
class Settlement:
    """A verdict that evidence proves. settled_by: reply, lookup, event, operator, client or coordinator."""

    run_id: str
    tool_call_id: str
    state: str
    settled_by: str
    reason: str | None = None
    output: UUID | None = None
    external_id: str | None = None


@dataclass(frozen=True)
class CallNote:
    """What evidence leaves on an unsettled call. more_lookups -1 counts them anew; wait_s in seconds."""

    run_id: str
    tool_call_id: str
    wait_s: float | None = None
    output: UUID | None = None
    more_lookups: int = 0
    reason: str | None = None


@dataclass(frozen=True)
class Effect:
    """An effect outside, by the identifier that its system gave it, and the call that caused it."""

    tool: str
    external_id: str
    run_id: str
    tool_call_id: str


@dataclass(frozen=True)
class Claim:
    """What evidence says of a call's effect, to be held against its verdict.

    says: happened, nothing (of this attempt), or all_nothing when it speaks for every attempt.
    """

    run_id: str
    tool_call_id: str
    attempt: int | None
    says: str
    external_id: str | None = None


def insert_evidence(evidence: Iterable[Evidence]) -> Statement[None]:
    """Keeps evidence, for ever and unchanged."""
    return statement("evidence.insert_evidence", no_rows, **columns(evidence, Evidence))


def raise_conflicts(claims: Iterable[Claim]) -> Statement[list[tuple[str, str]]]:
    """Marks calls whose verdict evidence contradicts; before attempts move and calls settle."""
    return statement("evidence.raise_conflicts", rows_of(lambda *key: key), **columns(claims, Claim))


def move_attempts(moves: Iterable[AttemptMove]) -> Statement[list[tuple[str, str, int]]]:
    """Moves attempts towards knowledge; answers those that moved."""
    return statement("evidence.move_attempts", rows_of(lambda *key: key), **columns(moves, AttemptMove))


def settle_calls(settlements: Iterable[Settlement]) -> Statement[list[tuple[str, str]]]:
    """Settles calls that are not settled yet; answers those."""
    return statement("evidence.settle_calls", rows_of(lambda *key: key), **columns(settlements, Settlement))


def note_calls(notes: Iterable[CallNote]) -> Statement[None]:
    """Leaves notes on calls that are not settled."""
    return statement("evidence.note_calls", no_rows, **columns(notes, CallNote))


def own_effects(effects: Iterable[Effect]) -> Statement[None]:
    """Claims effects for calls; the first call to own one keeps it."""
    return statement("evidence.own_effects", no_rows, **columns(effects, Effect))


def contest_effects(effects: Iterable[Effect]) -> Statement[list[tuple[str, str]]]:
    """Marks calls whose effect another call owns."""
    return statement("evidence.contest_effects", rows_of(lambda *key: key), **columns(effects, Effect))


def has_equal_call(key: tuple[str, str]) -> Statement[bool]:
    """Whether an equal call to (run, call), of any thread, is out or in doubt as well."""
    return statement("evidence.has_equal_call", scalar, run_id=key[0], tool_call_id=key[1])


def find_owners(keys: Sequence[tuple[str, str]]) -> Statement[list[Effect]]:
    """Who owns effects, by (tool, external id)."""
    return statement(
        "evidence.find_owners",
        rows_of(Effect),
        tools=[tool for tool, _ in keys],
        external_ids=[external_id for _, external_id in keys],
    )
