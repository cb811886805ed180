"""`counterfoil calls`: the ledger's calls, and an operator's word about one in doubt."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import click

from app.cli import output as out
from app.cli.database import connected
from app.cli.errors import NOT_FOUND, CommandError
from sql.vocabulary import CallState, Repeat

if TYPE_CHECKING:
    import psycopg

    from sql.tool_calls import CallFacts, CallRow

STATES: Final = click.Choice([state.value for state in CallState])
# `app.resolution.Verdict`, spelled here so that help needs no database driver.
VERDICTS: Final = ("happened", "retry", "failed", "lookup", "cancel-run", "seen")
RESOLVE: Final = """Say what became of a call in doubt.

\b
happened    it happened: --output is what it answered
retry       it did not happen: send it again
failed      it did not happen: tell the model so
lookup      look it up again, now
cancel-run  end its run
seen        nothing to do: clears conflict and orphan_effect

Exit 5 when somebody else settled it first, or a request may still be under way: look again.
"""
COLUMNS: Final = ("run", "call", "tool", "state", "reason", "repeat", "attempts", "in doubt", "last evidence")


@click.command(name="list", help="List calls with their evidence, newest run first.")
@click.option("--state", type=STATES, help="Only in this state.")
@click.option("--run", "run_id", metavar="RUN_ID", help="Only of this run.")
@click.option("--tool", metavar="NAME", help="Only of this tool.")
@out.since_option
@out.limit_option
@out.as_json
def list_calls(
    state: str | None, run_id: str | None, tool: str | None, since: datetime | None, limit: int | None, as_json: bool
) -> None:
    """Never shows arguments, outputs or bodies of evidence."""
    filters = {"state": state, "run_ids": [run_id] if run_id else None, "tool": tool, "since": since}
    most = limit or (None if as_json else out.TABLE_LIMIT)
    rows: list[tuple[CallRow, dict[str, Any]]] = []
    with connected() as connection:
        for page in pages(connection, most, filters):
            lines = out.call_lines(connection, page)
            if as_json:
                for line in lines:
                    out.emit(line)
            else:
                rows += zip(page, lines, strict=True)
    if not as_json:
        out.print_table(COLUMNS, [table_row(*row) for row in rows], "no calls")


def pages(connection: psycopg.Connection[Any], most: int | None, filters: dict[str, Any]) -> Iterator[list[CallRow]]:
    """Pages of calls until there are no more, or `most` of them."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.tool_calls import list_calls as statement  # noqa: PLC0415

    left, after = most, None
    while left is None or left > 0:
        size = out.PAGE if left is None else min(out.PAGE, left)
        page = execute(connection, statement(**filters, after=after, most=size))
        yield page
        if len(page) < size:
            return
        left, after = left and left - size, page[-1]


def table_row(call: CallRow, line: dict[str, Any]) -> tuple[object, ...]:
    """A call for people."""
    last = line["evidence"][-1] if line["evidence"] else None
    said = f"{last['kind']}: {last['says']}" if last else None
    doubt = out.age(call.in_doubt_since) if call.settled_at is None else None
    return (
        *(call.run_id, call.tool_call_id, call.tool, call.state, call.reason, call.repeat),
        *(line["attempts"], doubt, said),
    )


@click.command(help="Show one call with its attempts and evidence.")
@click.argument("run_id")
@click.argument("tool_call_id")
@out.as_json
def show(run_id: str, tool_call_id: str, as_json: bool) -> None:
    """Everything but payloads."""
    from sql.execute import execute  # noqa: PLC0415
    from sql.tool_calls import list_calls as statement  # noqa: PLC0415

    with connected() as connection:
        found = execute(connection, statement(run_ids=[run_id], tool_call_id=tool_call_id))
        if not found:
            raise CommandError(f"no call {tool_call_id} in run {run_id}", NOT_FOUND)
        detail = out.call_details(connection, found)[0]
    if as_json:
        out.emit(detail)
        return
    attempts, evidence = detail.pop("attempts"), detail.pop("evidence")
    out.print_table(("field", "value"), [(name, value) for name, value in detail.items() if value is not None], "")
    click.echo("")
    names = ("number", "state", "reason", "intended_at", "deadline", "over_at", "closed_at", "http_status")
    out.print_table(("attempt", *names[1:]), [[one[name] for name in names] for one in attempts], "no attempts")
    click.echo("")
    out.print_table(
        out.EVIDENCE_FIELDS, [[one[name] for name in out.EVIDENCE_FIELDS] for one in evidence], "no evidence"
    )


@click.command(help=RESOLVE)
@click.argument("run_id")
@click.argument("tool_call_id")
@click.option("--verdict", type=click.Choice(VERDICTS), required=True, help="What you found.")
@out.reason_option
@click.option("--output", metavar="JSON", help="What it answered, for happened.")
@click.option("--external-id", type=out.Name(500), help="The id of its effect outside, for happened.")
@out.operator_option
@click.option("--attempt", type=click.IntRange(min=1), help="Speak for the attempts up to this; by default the last.")
@click.option("--yes", is_flag=True, help="Do not ask before sending again what must never be sent twice.")
@out.as_json
def resolve(
    run_id: str,
    tool_call_id: str,
    verdict: str,
    reason: str,
    output: str | None,
    external_id: str | None,
    operator: str,
    attempt: int | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Exit 5 when somebody else settled it first, or a request may still be under way."""
    from app import operations  # noqa: PLC0415
    from app.resolution import Verdict, Word  # noqa: PLC0415

    if verdict != Verdict.HAPPENED and (output is not None or external_id is not None):
        raise click.UsageError("--output and --external-id go with --verdict happened")
    with connected() as connection, out.refusals():
        call, newest = look(connection, run_id, tool_call_id)
        if verdict == Verdict.RETRY and call.repeat == Repeat.NEVER and newest and not yes:
            confirm(call)
        upto = attempt if attempt is not None else newest
        word = Word(run_id, tool_call_id, Verdict(verdict), output, external_id, upto)
        who = out.by(operator, reason)
        now = operations.carry_out(connection, lambda transaction: operations.resolve(transaction, word, who))
    if as_json:
        names = ("run_id", "tool_call_id", "state", "reason", "run_status", "settled_by", "version")
        out.emit(out.plain(now, *names))
    else:
        click.echo(f"{tool_call_id}: {call.state} → {now.state}; run {run_id} is {now.run_status}")


def look(connection: psycopg.Connection[Any], run_id: str, tool_call_id: str) -> tuple[CallFacts, int]:
    """The call as it stands, and the number of its newest attempt: what the operator speaks about."""
    from sql.execute import execute_all  # noqa: PLC0415
    from sql.tool_calls import list_attempts, load_call  # noqa: PLC0415

    call, attempts = execute_all(connection, (load_call(run_id, tool_call_id), list_attempts([(run_id, tool_call_id)])))
    if call is None:
        raise CommandError(f"no call {tool_call_id} in run {run_id}", NOT_FOUND)
    return call, len(attempts)


def confirm(call: CallFacts) -> None:
    """Where a person sits at a terminal, has the id typed before a `never` tool is sent to again."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    click.echo(f"{call.tool} promises nothing about being called twice.", err=True)
    typed = click.prompt("Type the call's id to send it again", err=True)
    if typed.strip() != call.tool_call_id:
        raise CommandError("that is another id: nothing was done")
