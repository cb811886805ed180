"""Statements of streams: what became of many runs since somebody last looked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sql.messages import MessageRow
from sql.statement import Row, Statement, rows_of, statement
from sql.steps import CallRow, StepRow


@dataclass(frozen=True)
class SpokenRow:
    """A message that a run wrote; pieces: lengths in code points in which it was spoken."""

    message: MessageRow
    pieces: list[int]


@dataclass(frozen=True)
class StreamCall:
    """A call, whose it is and who executes it."""

    run_id: str
    executor: str
    call: CallRow


def latest_events(ids: Sequence[str]) -> Statement[list[tuple[str, int]]]:
    """The id of each run's newest event; 0 for none."""
    return statement("streams.latest_events", rows_of(lambda *row: row), ids=list(ids))


def read_steps(rounds: Mapping[str, int]) -> Statement[list[StepRow]]:
    """Steps of runs (run → first round), in order."""
    return statement("streams.read_steps", rows_of(StepRow), ids=list(rounds), rounds=list(rounds.values()))


def read_messages(rounds: Mapping[str, int]) -> Statement[list[SpokenRow]]:
    """Messages of runs (run → first round)."""
    return statement("streams.read_messages", _spoken, ids=list(rounds), rounds=list(rounds.values()))


def read_calls(rounds: Mapping[str, int]) -> Statement[list[StreamCall]]:
    """Calls of runs (run → first round), in call order."""
    return statement("streams.read_calls", _calls, ids=list(rounds), rounds=list(rounds.values()))


def _spoken(rows: Sequence[Row]) -> list[SpokenRow]:
    return [SpokenRow(MessageRow(*row[:-1]), _list(row[-1])) for row in rows]


def _calls(rows: Sequence[Row]) -> list[StreamCall]:
    return [StreamCall(row[0], row[1], CallRow(*row[2:])) for row in rows]


def _list(value: Any) -> list[int]:
    return list(value)
