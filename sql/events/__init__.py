"""Statements of the submission handler: completions that tools send, at least once and in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

from sql.statement import Statement, no_rows, row_of, scalar, statement


@dataclass(frozen=True)
class OutputRow:
    """A call's output as stored; key_id names the key that it is sealed with, if any."""

    bytes: bytes | None
    key_id: str | None


def find_event(tools: Sequence[str], webhook_id: str) -> Statement[str | None]:
    """What an event was answered with when it came before; None for a new one."""
    return statement("events.find_event", scalar, tools=list(tools), webhook_id=webhook_id)


def insert_event(*, webhook_id: str, tool: str, run_id: str, tool_call_id: str, result: str) -> Statement[None]:
    """Enters an event into the inbox; the same one at the same moment violates the key, and is tried again."""
    return statement(
        "events.insert_event",
        no_rows,
        webhook_id=webhook_id,
        tool=tool,
        run_id=run_id,
        tool_call_id=tool_call_id,
        result=result,
    )


def load_output(key: tuple[str, str]) -> Statement[OutputRow | None]:
    """The output of (run, call); None where it has none."""
    return statement("events.load_output", row_of(OutputRow), run_id=key[0], tool_call_id=key[1])


def grant_time(run_id: str, *, operator_ttl_s: float) -> Statement[None]:
    """Gives a person time to look at a run's call; in seconds from now, at least."""
    return statement("events.grant_time", no_rows, run_id=run_id, operator_ttl_s=operator_ttl_s)
