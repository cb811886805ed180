"""`counterfoil tools list`, `pause` and `resume`: what workers loaded, and the kill switch of each tool."""

from __future__ import annotations

import click

from app.cli import output as out
from app.cli.database import connected


@click.command(name="list", help="List the tools that workers loaded, and which are paused.")
@out.as_json
def list_tools(as_json: bool) -> None:
    """As workers last loaded them, without secrets."""
    from sql import tools  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    with connected() as connection:
        found = execute(connection, tools.list_tools())
    if as_json:
        for tool in found:
            out.emit(out.plain(tool))
        return
    rows = [
        (
            tool.name,
            tool.definition.get("contract", {}).get("repeat"),
            tool.definition.get("url"),
            out.age(tool.loaded_at),
            f"paused by {tool.paused_by}: {tool.pause_reason}" if tool.paused_at else None,
        )
        for tool in found
    ]
    out.print_table(("tool", "repeat", "url", "loaded", "paused"), rows, "no worker has loaded a tool yet")


@click.command(help="Stop sending to a tool; its calls wait.")
@click.argument("name", type=out.Name(200))
@out.reason_option
@out.operator_option
def pause(name: str, reason: str, operator: str) -> None:
    """No new intents for it from the next transaction on, on every worker; what is under way goes on."""
    from app import operations  # noqa: PLC0415

    with connected() as connection, out.refusals():
        who = out.by(operator, reason)
        operations.carry_out(connection, lambda transaction: operations.pause(transaction, name, who))
    click.echo(f"{name} is paused: nothing new is sent to it")


@click.command(help="Send to a paused tool again.")
@click.argument("name", type=out.Name(200))
@click.option("--reason", type=out.Name(2000), default="resumed", help="Why; kept in the audit trail.")
@out.operator_option
def resume(name: str, reason: str, operator: str) -> None:
    """Its calls go on within 2 s. Exit 3 when nobody knows it, 5 when it is not paused."""
    from app import operations  # noqa: PLC0415

    with connected() as connection, out.refusals():
        who = out.by(operator, reason)
        operations.carry_out(connection, lambda transaction: operations.unpause(transaction, name, who))
    click.echo(f"{name} is sent to again")
