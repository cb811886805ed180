"""`counterfoil runs`: what runs do, why a person should look, and letting them go on or end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from app.cli import output as out
from app.cli.database import connected, read_settings
from app.cli.errors import FAILED, NOT_FOUND, TIMEOUT, CommandError
from sql.vocabulary import Attention, RunStatus

if TYPE_CHECKING:
    import psycopg

    from app.database import Transaction
    from sql.operators import RunRow

STATUSES: Final = click.Choice([status.value for status in RunStatus])
ATTENTIONS: Final = click.Choice([attention.value for attention in Attention])
COLUMNS: Final = ("run", "thread", "status", "wire", "attention", "rounds", "age", "lease")
MOST_ATTENTION: Final = 10_000
WATCH_S: Final = 0.25

status_option = click.option("--status", type=STATUSES, help="Only in this status.")


@click.command(name="list", help="List runs, newest first.")
@status_option
@click.option("--attention", type=ATTENTIONS, help="Only those that want a person's attention for this.")
@out.since_option
@out.limit_option
@out.as_json
def list_runs(
    status: str | None, attention: str | None, since: datetime | None, limit: int | None, as_json: bool
) -> None:
    """With our status beside the one that clients see."""
    most = limit or (None if as_json else out.TABLE_LIMIT)
    rows: list[dict[str, Any]] = []
    with connected() as connection:
        ids = wanted(connection, attention) if attention else None
        for page in pages(connection, most, {"status": status, "since": since, "ids": ids}):
            why = attention_of(connection, [run.id for run in page])
            shown = [out.run_object(run, why.get(run.id, ())) for run in page]
            if as_json:
                for run in shown:
                    out.emit(run)
            else:
                rows += shown
    if not as_json:
        out.print_table(COLUMNS, [table_row(run) for run in rows], "no runs")


def pages(connection: psycopg.Connection[Any], most: int | None, filters: dict[str, Any]) -> Iterator[list[RunRow]]:
    """Pages of runs until there are no more, or `most` of them."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.operators import list_runs as statement  # noqa: PLC0415

    left, after = most, None
    while left is None or left > 0:
        size = out.PAGE if left is None else min(out.PAGE, left)
        page = execute(connection, statement(**filters, after=after, most=size))
        yield page
        if len(page) < size:
            return
        left, after = left and left - size, page[-1].id


def wanted(connection: psycopg.Connection[Any], attention: str) -> list[str]:
    """The runs that want attention for this."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.operators import list_attention  # noqa: PLC0415

    stuck_after_s = read_settings().stuck_after_s
    found = execute(
        connection, list_attention(stuck_after_s=stuck_after_s, kinds=[Attention(attention)], most=MOST_ATTENTION)
    )
    return sorted({row.run_id for row in found})


def attention_of(connection: psycopg.Connection[Any], run_ids: list[str]) -> dict[str, list[str]]:
    """Why a person should look, by run."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.operators import list_attention  # noqa: PLC0415

    stuck_after_s = read_settings().stuck_after_s
    found = execute(connection, list_attention(stuck_after_s=stuck_after_s, run_ids=run_ids, most=1_000_000))
    why: dict[str, set[str]] = {}
    for row in found:
        why.setdefault(row.run_id, set()).add(row.attention)
    return {run: sorted(words) for run, words in why.items()}


def table_row(run: dict[str, Any]) -> tuple[object, ...]:
    """A run for people."""
    made = out.age(datetime.fromisoformat(run["created_at"]))
    why = " ".join(run["attention"]) or None
    return (
        *(run["id"], run["thread_id"], run["status"], run["wire_status"], why),
        *(run["rounds"], made, run["lease_owner"]),
    )


@click.command(help="Show a run with its calls, attempts, evidence and events.")
@click.argument("run_id")
@out.as_json
def show(run_id: str, as_json: bool) -> None:
    """Everything but payloads."""
    with connected() as connection:
        detail = details(connection, read_run(connection, run_id))
    if as_json:
        out.emit(detail)
        return
    run = {name: value for name, value in detail["run"].items() if value not in (None, [])}
    out.print_table(("field", "value"), list(run.items()), "")
    click.echo("")
    calls = [
        (c["tool_call_id"], c["tool"], c["state"], c["reason"], a and a["number"], a and a["state"], a and a["reason"])
        for c in detail["calls"]
        for a in (c["attempts"] or [None])
    ]
    out.print_table(("call", "tool", "state", "reason", "attempt", "is", "because"), calls, "no calls")
    click.echo("")
    events = [(e["at"], e["event"], e["object_id"], said(e["data"])) for e in detail["events"]]
    out.print_table(("at", "event", "of", "data"), events, "no events")


def said(data: dict[str, Any]) -> str:
    """An event's words."""
    return " ".join(f"{name}={value}" for name, value in data.items())


def read_run(connection: psycopg.Connection[Any], run_id: str) -> RunRow:
    """The run. Raises `CommandError`."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.operators import list_runs as statement  # noqa: PLC0415

    found = execute(connection, statement(ids=[run_id]))
    if not found:
        raise CommandError(f"no run {run_id}", NOT_FOUND)
    return found[0]


def details(connection: psycopg.Connection[Any], run: RunRow) -> dict[str, Any]:
    """The run with all that belongs to it."""
    return out.run_details(connection, run, attention_of(connection, [run.id]).get(run.id, ()))


@click.command(help="Follow a run's events until it has ended.")
@click.argument("run_id")
@click.option("--timeout", "timeout_s", type=click.FloatRange(min=0), metavar="SECONDS", help="Then exit 7.")
@out.as_json
def watch(run_id: str, timeout_s: float | None, as_json: bool) -> None:
    """Exit 0 when it has completed, 1 when it ended otherwise, 7 when it has not ended in time."""
    from sql.execute import execute_all  # noqa: PLC0415
    from sql.operators import list_events  # noqa: PLC0415
    from sql.operators import list_runs as statement  # noqa: PLC0415

    give_up = None if timeout_s is None else time.monotonic() + timeout_s
    last = 0
    with connected() as connection:
        read_run(connection, run_id)
        while True:
            # The run first: what is read of its events afterwards is all that led there.
            runs, events = execute_all(connection, [statement(ids=[run_id]), list_events([run_id], after=last)])
            for event in events:
                last = event.id
                shown = out.event_object(event)
                line = f"{shown['at']}  {event.event}  {event.object_id or ''}  {said(event.data)}".rstrip()
                out.emit(shown) if as_json else click.echo(line)
            if runs[0].ended_at is not None:
                break
            if give_up is not None and time.monotonic() >= give_up:
                raise CommandError(f"run {run_id} has not ended in time: it is {runs[0].status}", TIMEOUT)
            time.sleep(WATCH_S)
    if runs[0].status != RunStatus.COMPLETED:
        raise SystemExit(FAILED)


@click.command(help="Let a stuck or poisoned run go on: due now.")
@click.argument("run_id")
@out.reason_option
@out.operator_option
@out.as_json
def resume(run_id: str, reason: str, operator: str, as_json: bool) -> None:
    """Exit 5 when it has ended and there is nothing to clear."""
    from app import operations  # noqa: PLC0415

    who = out.by(operator, reason)
    change(run_id, as_json, lambda transaction: operations.resume(transaction, run_id, who))


@click.command(help="End a run at once as cancelled.")
@click.argument("run_id")
@out.reason_option
@out.operator_option
@out.as_json
def cancel(run_id: str, reason: str, operator: str, as_json: bool) -> None:
    """What is in doubt is still settled. Exit 5 when it has ended."""
    from app import operations  # noqa: PLC0415

    who = out.by(operator, reason)
    change(run_id, as_json, lambda transaction: operations.cancel(transaction, run_id, who))


def change(run_id: str, as_json: bool, work: Callable[[Transaction], RunRow]) -> None:
    """Does it and says how the run is now."""
    from app import operations  # noqa: PLC0415

    with connected() as connection, out.refusals():
        run = operations.carry_out(connection, work)
        if as_json:
            out.emit(out.run_object(run, attention_of(connection, [run_id]).get(run_id, ())))
        else:
            click.echo(f"run {run_id} is {run.status}")


@click.command(help="Write runs as JSON lines, for `counterfoil investigate`.")
@click.argument("run_ids", nargs=-1, metavar="[RUN_ID]...")
@status_option
@out.since_option
@out.limit_option
def export(run_ids: tuple[str, ...], status: str | None, since: datetime | None, limit: int | None) -> None:
    """One `runs show --json` object a run, newest first; all runs where none is named."""
    with connected() as connection:
        for run_id in run_ids:
            read_run(connection, run_id)
        filters = {"status": status, "since": since, "ids": list(run_ids) or None}
        for page in pages(connection, limit, filters):
            for run in page:
                out.emit(details(connection, run))
