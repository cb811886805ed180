"""What operators do to runs, calls and tools, for the command line and the console alike.

Each takes a `Transaction`, commits it, and leaves an audit row in it; `carry_out` runs one on a connection.
What an operator's word makes of a call is decided in `app.resolution`, which also has the errors.
"""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import psycopg

from app import telemetry
from app.database import CONTENTION, LONGEST_PAUSE_S, NOTIFY, WAIT_S, Transaction, in_transaction, leave
from app.resolution import Consequences, Overtaken, Unknown, Verdict, Word, consequences, shown
from sql.decisions import CallMove, move_calls
from sql.evidence import (
    AttemptMove,
    CallNote,
    Effect,
    Evidence,
    Settlement,
    contest_effects,
    insert_evidence,
    move_attempts,
    note_calls,
    own_effects,
    settle_calls,
)
from sql.ledger import Payload, RunEnd, complete_steps, ending, insert_payloads, lock_runs, wake_runs
from sql.operators import RunRow, insert_audit, list_runs
from sql.operators import resume_run as resume_statement
from sql.statement import Statement
from sql.tool_calls import AttemptRow, CallFacts, list_attempts, load_call, mark_seen
from sql.tools import ToolRow, list_tools
from sql.tools import pause_tool as pause_statement
from sql.tools import resume_tool as unpause_statement
from sql.vocabulary import AttemptState, CallState, EvidenceKind, RunStatus

T = TypeVar("T")


@dataclass(frozen=True)
class By:
    """Who does something, and why: both for the audit."""

    operator: str
    reason: str


# Calls ----------------------------------------------------------------------------------------------


def resolve(transaction: Transaction, word: Word, by: By) -> CallFacts:
    """Takes an operator's word about a call; answers the call as it is now. Raises `Refused`."""
    told = {"gen_ai.tool.call.id": word.tool_call_id, "counterfoil.run.id": word.run_id}
    with telemetry.span("counterfoil.resolve", {**told, "counterfoil.verdict": word.verdict.value}):
        return _resolve(transaction, word, by)


def _resolve(transaction: Transaction, word: Word, by: By) -> CallFacts:
    _lock(transaction, word.run_id)
    call, attempts = transaction.all(load_call(*word.key), list_attempts([word.key]))
    if call is None:
        raise Unknown(f"no call {word.tool_call_id} in run {word.run_id}")
    found = consequences(call, attempts, word)
    *_, now = transaction.commit(*_statements(call, attempts, word, by, found), load_call(*word.key))
    assert isinstance(now, CallFacts)
    return now


def _statements(
    call: CallFacts, attempts: Sequence[AttemptRow], word: Word, by: By, found: Consequences
) -> list[Statement[Any]]:
    """All that a word takes, in the order of locks; the run is locked."""
    audit = insert_audit(
        operator=by.operator,
        action="resolve_call",
        reason=by.reason,
        run_id=word.run_id,
        tool_call_id=word.tool_call_id,
        object=word.verdict,
        seen=_seen(call, attempts, word),
    )
    match word.verdict:
        case Verdict.SEEN:
            return [mark_seen(*word.key), audit]
        case Verdict.CANCEL_RUN:
            return [*ending([RunEnd(word.run_id, RunStatus.CANCELLED)]), audit]
    changes = _changes(call, word, by, found)
    return [*changes, audit, complete_steps([word.run_id]), wake_runs([word.run_id], fruitful=True)]


def _changes(call: CallFacts, word: Word, by: By, found: Consequences) -> list[Statement[Any]]:
    key = word.key
    output = Payload(uuid.uuid4(), found.output.encode()) if found.output is not None else None
    moves = [AttemptMove(*key, n, s, "operator", None, _id_of(s, word)) for n, s in found.attempts.items()]
    changes: list[Statement[Any]] = [insert_payloads([output] if output else [])]
    if found.says is not None:
        changes.append(insert_evidence([_evidence(word, by, found, output)]))
    changes.append(move_attempts(moves))
    if found.settles and found.state is not None and output is not None:
        changes.append(settle_calls([_settlement(word, found.state, output)]))
    else:
        changes.append(move_calls([CallMove(*key, found.state, found.reason)]))
        # Looked up or sent at once, however often it was looked up before.
        changes.append(note_calls([CallNote(*key, wait_s=0.0, more_lookups=-1)]))
    if word.external_id is not None and found.state == CallState.SUCCEEDED:
        effect = Effect(call.tool, word.external_id, *key)
        changes += [own_effects([effect]), contest_effects([effect])]
    return changes


def _settlement(word: Word, state: CallState, output: Payload) -> Settlement:
    return Settlement(*word.key, state, EvidenceKind.OPERATOR, "operator", output.id, word.external_id)


def _evidence(word: Word, by: By, found: Consequences, output: Payload | None) -> Evidence:
    told = output if word.output is not None else None
    return Evidence(
        *word.key,
        attempt=max(found.attempts, default=None),
        kind=EvidenceKind.OPERATOR,
        says=found.says or word.verdict,
        source=by.operator,
        reason=word.verdict,
        external_id=word.external_id,
        body=told.id if told else None,
        body_bytes=len(told.bytes) if told else None,
    )


def _id_of(state: AttemptState, word: Word) -> str | None:
    return word.external_id if state == AttemptState.SUCCEEDED else None


def _seen(call: CallFacts, attempts: Sequence[AttemptRow], word: Word) -> dict[str, Any]:
    return {
        "state": call.state,
        "reason": call.reason,
        "version": call.version,
        "run_status": call.run_status,
        "conflict": bool(call.contested),
        "orphan_effect": bool(call.orphaned),
        "attempts": [{"number": a.number, "state": a.state} for a in attempts],
        "up_to": len(attempts) if word.attempt is None else word.attempt,
    }


# Runs -----------------------------------------------------------------------------------------------


def resume(transaction: Transaction, run_id: str, by: By) -> RunRow:
    """Clears `stuck` and `poisoned` and makes the run due now. Raises `Refused`."""
    run = _locked_run(transaction, run_id)
    marked = run.poisoned_at is not None or run.waiting_since is not None
    if run.ended_at is not None and not marked:
        raise Overtaken(f"run {run_id} has ended: it is {run.status}")
    audit = insert_audit(operator=by.operator, action="resume_run", reason=by.reason, run_id=run_id, seen=_stand(run))
    return _committed(transaction, run_id, resume_statement(run_id), audit)


def cancel(transaction: Transaction, run_id: str, by: By) -> RunRow:
    """Ends the run at once as cancelled; what is in doubt is still settled. Raises `Refused`."""
    run = _locked_run(transaction, run_id)
    if run.ended_at is not None:
        raise Overtaken(f"run {run_id} has ended: it is {run.status}")
    audit = insert_audit(operator=by.operator, action="cancel_run", reason=by.reason, run_id=run_id, seen=_stand(run))
    return _committed(transaction, run_id, *ending([RunEnd(run_id, RunStatus.CANCELLED)]), audit)


def _lock(transaction: Transaction, run_id: str) -> None:
    """Locks the run; one whose time is over ends right there."""
    locked = transaction.one(lock_runs([run_id]))
    if not locked:
        raise Unknown(f"no run {run_id}")
    if locked[0].active and locked[0].expired:
        transaction.all(*ending([RunEnd(run_id, RunStatus.EXPIRED)]))


def _locked_run(transaction: Transaction, run_id: str) -> RunRow:
    _lock(transaction, run_id)
    return transaction.one(list_runs(ids=[run_id]))[0]


def _committed(transaction: Transaction, run_id: str, *statements: Statement[Any]) -> RunRow:
    *_, rows = transaction.commit(*statements, list_runs(ids=[run_id]))
    run: RunRow = rows[0]
    return run


def _stand(run: RunRow) -> dict[str, Any]:
    return {
        "status": run.status,
        "epoch": run.epoch,
        "wakes": run.wakes,
        "fruitless_claims": run.fruitless_claims,
        "poisoned": run.poisoned_at is not None,
        "waiting_since": run.waiting_since and shown(run.waiting_since),
    }


# Tools ----------------------------------------------------------------------------------------------


def pause(transaction: Transaction, name: str, by: By) -> None:
    """The kill switch of a tool, known or not: no new intents for it, its calls wait."""
    audit = insert_audit(operator=by.operator, action="pause_tool", reason=by.reason, object=name)
    transaction.commit(pause_statement(name=name, operator=by.operator, reason=by.reason), audit)


def unpause(transaction: Transaction, name: str, by: By) -> None:
    """Ends a tool's pause. Raises `Refused`."""
    tool: ToolRow | None = next((t for t in transaction.one(list_tools()) if t.name == name), None)
    if tool is None:
        raise Unknown(f"no tool {name}")
    if transaction.one(unpause_statement(name=name)) is None:
        raise Overtaken(f"tool {name} is not paused")
    seen = {"paused_by": tool.paused_by, "paused_at": tool.paused_at and shown(tool.paused_at)}
    transaction.commit(
        insert_audit(operator=by.operator, action="resume_tool", reason=by.reason, object=name, seen=seen)
    )


# Doing it -------------------------------------------------------------------------------------------


def carry_out(connection: psycopg.Connection[Any], work: Callable[[Transaction], T]) -> T:
    """Does the work on a connection in autocommit mode, again after a conflict, and hurries the workers."""
    give_up = time.monotonic() + WAIT_S
    while True:
        try:
            done = in_transaction(connection, work)
            break
        except CONTENTION:
            if time.monotonic() >= give_up:
                raise
        finally:
            leave(connection)
        time.sleep(random.uniform(0, LONGEST_PAUSE_S))
    with suppress(psycopg.Error):  # it only hurries them, and the work is done
        connection.execute(NOTIFY.text)
    return done
