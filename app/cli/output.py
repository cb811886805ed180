"""What commands about runs and calls have in common: options, tables, JSON lines, objects without payloads."""

from __future__ import annotations

import json
import os
import pwd
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from app.cli.errors import CONFLICT, NOT_FOUND, USAGE, CommandError

if TYPE_CHECKING:
    import psycopg

    from app.operations import By
    from sql.operators import RunRow
    from sql.tool_calls import CallRow

F = TypeVar("F", bound=Callable[..., Any])
PAGE: Final = 500
TABLE_LIMIT: Final = 50  # a person asked; scripts get everything
PIPED_WIDTH: Final = 240
UNBROKEN: Final = 2  # columns of ids, to be copied
_AGO_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
EVIDENCE_FIELDS: Final = ("attempt", "kind", "says", "reason", "at", "source", "http_status", "external_id")
LINE_FIELDS: Final = ("run_id", "tool_call_id", "tool", "state", "repeat")


class Moment(click.ParamType[datetime]):
    """A time in ISO 8601, UTC unless it says otherwise, or how long ago: 90s, 10m, 2h, 1d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """The moment; wrong ones are usage errors."""
        ago = re.fullmatch(r"(\d{1,6})([smhd])", str(value))
        if ago:
            return datetime.now(UTC) - timedelta(seconds=int(ago[1]) * _AGO_S[ago[2]])
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is no time; wanted is 2026-03-12T10:16:00Z, or 10m for ten minutes ago", param, ctx)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class Name(click.ParamType[str]):
    """A text of 1 to `most` letters that is not blank."""

    name = "text"

    def __init__(self, most: int) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text without blanks around it."""
        text = str(value).strip()
        if not text or len(text) > self.most or "\0" in text or not _is_utf8(text):
            self.fail(f"wanted is a text of 1 to {self.most} letters", param, ctx)
        return text


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def user() -> str:
    """Who runs this command: $USER, else what the system calls them."""
    named = os.environ.get("USER", "").strip()
    if named and _is_utf8(named):
        return named[:200]
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


as_json = click.option("--json", "as_json", is_flag=True, help="One object a line.")
operator_option = click.option("--operator", type=Name(200), default=user, help="Who says so; by default $USER.")
reason_option = click.option("--reason", type=Name(2000), required=True, help="Why; kept in the audit trail.")
since_option = click.option("--since", type=Moment(), help="Made since then: ISO 8601, or 90s, 10m, 2h, 1d ago.")
limit_option = click.option("--limit", type=click.IntRange(min=1), help=f"At most so many; tables: {TABLE_LIMIT}.")


def by(operator: str, reason: str) -> By:
    """Who and why."""
    from app.operations import By  # noqa: PLC0415

    return By(operator, reason)


@contextmanager
def refusals() -> Iterator[None]:
    """What operations refuse, as one line with its exit code."""
    from app import resolution  # noqa: PLC0415
    from app.database import CommitLost  # noqa: PLC0415

    try:
        yield
    except resolution.Unknown as refused:
        raise CommandError(str(refused), NOT_FOUND) from None
    except resolution.Unusable as refused:
        raise CommandError(str(refused), USAGE) from None
    except resolution.Overtaken as refused:
        raise CommandError(str(refused), CONFLICT) from None
    except CommitLost:
        raise CommandError("the connection broke during the commit: look whether it was done") from None


def emit(value: object) -> None:
    """One JSON object on one line of stdout."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table on stdout for people; what has no rows is said on stderr. NO_COLOR is honoured."""
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not rows:
        click.echo(empty, err=True)
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, column in enumerate(columns):
        table.add_column(column, overflow="fold", no_wrap=place < UNBROKEN)
    for row in rows:
        table.add_row(*(Text(words(value)) for value in row))
    console.print(table)


def words(value: object) -> str:
    """A value for people."""
    if value is None:
        return "-"
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def shown_time(at: datetime | None) -> str | None:
    """A moment in JSON: UTC, ISO 8601, to the microsecond."""
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z") if at else None


def age(at: datetime | None) -> str | None:
    """How long ago, for people."""
    if at is None:
        return None
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    unit = next((u for u in "dhm" if seconds >= _AGO_S[u]), "s")
    return f"{seconds // _AGO_S[unit]}{unit}"


def plain(row: Any, *names: str) -> dict[str, Any]:
    """Fields of a dataclass, all or the named ones, as JSON holds them."""
    chosen = names or tuple(field.name for field in fields(row))
    values = {name: getattr(row, name) for name in chosen}
    return {name: shown_time(v) if isinstance(v, datetime) else v for name, v in values.items()}


def call_lines(connection: psycopg.Connection[Any], calls: Sequence[CallRow]) -> list[dict[str, Any]]:
    """Calls as `calls list --json` shows them: what they are, how many attempts, and the evidence."""
    return [
        {
            **plain(call, *LINE_FIELDS),
            "attempts": len(detail["attempts"]),
            **plain(call, "fingerprint", "effect_key", "in_doubt_since"),
            "evidence": detail["evidence"],
        }
        for call, detail in zip(calls, call_details(connection, calls), strict=True)
    ]


def call_details(connection: psycopg.Connection[Any], calls: Sequence[CallRow]) -> list[dict[str, Any]]:
    """Calls with everything but payloads, their attempts and evidence as lists."""
    from sql.execute import execute_all  # noqa: PLC0415
    from sql.tool_calls import list_attempts, list_evidence  # noqa: PLC0415

    keys = [call.key for call in calls]
    attempts, evidence = execute_all(connection, [list_attempts(keys), list_evidence(keys)]) if keys else ([], [])
    of_call: dict[tuple[str, str], tuple[list[Any], list[Any]]] = {key: ([], []) for key in keys}
    for one in attempts:
        shown = plain(one)
        del shown["run_id"], shown["tool_call_id"]
        of_call[one.run_id, one.tool_call_id][0].append(shown)
    for one in evidence:
        of_call[one.run_id, one.tool_call_id][1].append(plain(one, *EVIDENCE_FIELDS))
    return [{**plain(c), "attempts": of_call[c.key][0], "evidence": of_call[c.key][1]} for c in calls]


def run_object(run: RunRow, attention: Sequence[str]) -> dict[str, Any]:
    """A run as commands show it: our status and the wire's, and why a person should look at it."""
    shown = plain(run)
    del shown["waits_for_client"]
    return {**shown, "wire_status": run.wire_status, "attention": list(attention)}


def run_details(connection: psycopg.Connection[Any], run: RunRow, attention: Sequence[str]) -> dict[str, Any]:
    """A run with its calls and events, as `counterfoil investigate` reads it too."""
    from sql.execute import execute_all  # noqa: PLC0415
    from sql.operators import list_events  # noqa: PLC0415
    from sql.tool_calls import list_calls  # noqa: PLC0415

    # As many as there are: a run's calls are bounded by its rounds.
    calls, events = execute_all(connection, [list_calls(run_ids=[run.id], most=1_000_000), list_events([run.id])])
    return {
        "run": run_object(run, attention),
        "calls": call_details(connection, calls[::-1]),
        "events": [event_object(event) for event in events],
    }


def event_object(event: Any) -> dict[str, Any]:
    """An event; one of the run itself says its status."""
    shown = plain(event, "id", "at", "event", "object_id")
    word = event.event.removeprefix("run.")
    status = {"status": word} if word != event.event else {}
    return {**shown, **status, "data": event.data}
