"""Statements of tools: what workers loaded, and the kill switch of each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.statement import Statement, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class ToolRow:
    """A tool as workers last loaded it, without secrets, and whether it is paused."""

    name: str
    definition: dict[str, Any]
    loaded_at: datetime | None
    loaded_by: str | None
    paused_at: datetime | None
    paused_by: str | None
    pause_reason: str | None


def report_tools(definitions: Mapping[str, Mapping[str, Any]], *, owner: str) -> Statement[None]:
    """Says which tools a worker has loaded."""
    return statement(
        "tools.report_tools",
        no_rows,
        owner=owner,
        name=list(definitions),
        definition=[json.dumps(definition) for definition in definitions.values()],
    )


def pause_tool(*, name: str, operator: str, reason: str) -> Statement[str | None]:
    """Pauses a tool, known or not: no new intents for it from the next transaction on."""
    return statement("tools.pause_tool", scalar, name=name, operator=operator, reason=reason)


def resume_tool(*, name: str) -> Statement[str | None]:
    """Ends a tool's pause; None where it was not paused."""
    return statement("tools.resume_tool", scalar, name=name)


def list_tools() -> Statement[list[ToolRow]]:
    """All tools that workers loaded or operators paused."""
    return statement("tools.list_tools", rows_of(ToolRow))
