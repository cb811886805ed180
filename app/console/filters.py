"""Runs by filters that the URL carries, a page at a time, each by an index (SQLAlchemy Core makes the text)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.psycopg import dialect

from app.console.common import COUNTED, first_id, moment
from sql.statement import Statement, column, scalar
from sql.vocabulary import RunStatus

RUNS: Final = sa.table("runs", sa.column("id"), sa.column("status"), sa.column("thread_id"), sa.column("created_at"),
                       sa.column("correlation_id"), schema="counterfoil")  # fmt: skip
CALLS: Final = sa.table("tool_calls", sa.column("run_id"), sa.column("tool"), sa.column("effect_key"),
                        schema="counterfoil")  # fmt: skip
_DIALECT: Final = dialect(paramstyle="pyformat")  # type: ignore[no-untyped-call]
NAMES: Final = ("status", "tool", "key", "thread", "attention", "since", "before")


@dataclass(frozen=True)
class RunFilter:
    """What the URL asks for; empty is no filter. before: the id of the last run of the page before."""

    status: str = ""
    tool: str = ""
    key: str = ""
    thread: str = ""
    attention: str = ""
    since: str = ""
    before: str = ""

    @property
    def narrow(self) -> bool:
        """Whether anything is filtered out."""
        return any(value for name, value in asdict(self).items() if name != "before")

    @property
    def mistakes(self) -> list[str]:
        """What cannot be understood, in words."""
        wrong = []
        if self.status and self.status not in {status.value for status in RunStatus}:
            wrong.append(f"There is no status “{self.status}”.")
        if self.since and moment(self.since) is None:
            wrong.append(f"“{self.since}” is no time: write 10m, 2h, 1d, or 2026-03-12T10:16:00Z.")
        return wrong

    def query(self, **changes: str) -> dict[str, str]:
        """The filter as the URL's query, without what is empty."""
        return {name: value for name, value in asdict(replace(self, **changes)).items() if value}


def page_of_runs(asked: RunFilter, ids: Sequence[str] | None, most: int) -> Statement[list[str]]:
    """Ids of runs, newest first; ids: only among these."""
    return _made("console.page_of_runs", _chosen(asked, ids).limit(most), column)


def count_of_runs(asked: RunFilter, ids: Sequence[str] | None) -> Statement[int]:
    """How many there are, at most 10,001."""
    some = _chosen(replace(asked, before=""), ids).order_by(None).limit(COUNTED).subquery()
    return _made("console.count_of_runs", sa.select(sa.func.count()).select_from(some), scalar)


def _chosen(asked: RunFilter, ids: Sequence[str] | None) -> sa.Select[Any]:
    if asked.tool and not (asked.status or asked.key or asked.thread or asked.since or ids is not None):
        return _by_tool_alone(asked)
    query = sa.select(RUNS.c.id).order_by(RUNS.c.id.desc())
    if asked.status in {status.value for status in RunStatus}:
        # As a literal, so that partial indexes count.
        query = query.where(RUNS.c.status == sa.literal_column(f"'{asked.status}'"))
    if asked.thread:
        query = query.where(RUNS.c.thread_id == asked.thread)
    if asked.key:
        query = query.where(RUNS.c.id.in_(sa.select(CALLS.c.run_id).where(CALLS.c.effect_key == asked.key)))
    if asked.tool:
        query = query.where(RUNS.c.id.in_(sa.select(CALLS.c.run_id).where(CALLS.c.tool == asked.tool)))
    since = moment(asked.since) if asked.since else None
    if since is not None:
        query = query.where(RUNS.c.id >= first_id("run", since), RUNS.c.created_at >= since)
    if ids is not None:
        query = query.where(RUNS.c.id == sa.any_(sa.literal(list(ids), sa.ARRAY(sa.Text))))
    return query.where(RUNS.c.id < asked.before) if asked.before else query


def _by_tool_alone(asked: RunFilter) -> sa.Select[Any]:
    query = sa.select(CALLS.c.run_id).distinct().where(CALLS.c.tool == asked.tool).order_by(CALLS.c.run_id.desc())
    return query.where(CALLS.c.run_id < asked.before) if asked.before else query


def _made(name: str, query: sa.Select[Any], read: Any) -> Statement[Any]:
    compiled = query.compile(dialect=_DIALECT)
    return Statement(name, str(compiled), dict(compiled.params), read)
