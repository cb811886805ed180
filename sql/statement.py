"""A statement is a value: its name, its text from a file, its parameters and how its rows are read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]
_ROOT = Path(__file__).parent


@dataclass(frozen=True)
class Statement(Generic[T]):
    """One SQL statement with its parameters, not yet executed.

    name: `folder.file`, also the span's name. text: SQL with `%(name)s` parameters. read: rows → result.
    """

    name: str
    text: str
    params: Mapping[str, object]
    read: Callable[[Sequence[Row]], T]


@cache
def text_of(name: str) -> str:
    """The text of `sql/<folder>/<file>.sql` for the name `folder.file`."""
    folder, file = name.split(".")
    return (_ROOT / folder / f"{file}.sql").read_text(encoding="utf-8")


def statement(name: str, read: Callable[[Sequence[Row]], T], /, **params: object) -> Statement[T]:
    """A statement by name, with its parameters."""
    return Statement(name, text_of(name), params, read)


def no_rows(_rows: Sequence[Row]) -> None:
    """Reads a statement that answers nothing."""


def rows_of(kind: Callable[..., T]) -> Callable[[Sequence[Row]], list[T]]:
    """Reads each row into `kind`, column by column in order."""
    return lambda rows: [kind(*row) for row in rows]


def row_of(kind: Callable[..., T]) -> Callable[[Sequence[Row]], T | None]:
    """Reads the first row into `kind`; no row is None."""
    return lambda rows: kind(*rows[0]) if rows else None


def column(rows: Sequence[Row]) -> list[Any]:
    """Reads the first column of each row."""
    return [row[0] for row in rows]


def scalar(rows: Sequence[Row]) -> Any:
    """Reads the first column of the first row; no row is None."""
    return rows[0][0] if rows else None
