"""Lists: pages in the order of insertion, forwards and backwards from a cursor."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

from flask import request

from app import errors
from app.api.paths import is_id
from app.api.services import database
from sql.statement import Statement

DEFAULT_LIMIT: Final = 20
INTEGER: Final = re.compile(r"-?[0-9]{1,1000}")
MOST: Final = 100


class HasId(Protocol):
    """A row with an id."""

    @property
    def id(self) -> str:
        """Its id."""
        ...


R = TypeVar("R", bound=HasId)
Places = Statement[list[tuple[str, int]]]


@dataclass(frozen=True)
class Page:
    """What a page was asked for: ids before and after it, in an order."""

    limit: int
    ascending: bool
    after: str | None
    before: str | None

    @property
    def backwards(self) -> bool:
        """Whether the page is the end of what precedes `before`: then the scan goes against the order."""
        return self.before is not None and self.after is None

    def scan(self, places: Callable[..., Places], *within: object) -> Places:
        """The statement that finds the page, and one item more that tells whether there are more."""
        above, below = (self.after, self.before) if self.ascending else (self.before, self.after)
        return places(
            *within,
            ascending=self.ascending != self.backwards,
            above=above,
            below=below,
            count=self.limit + 1,
        )


def asked_page(exists: Callable[[], object] | None = None) -> Page:
    """The page that the query names; `exists` raises when the list's owner does not exist: that comes first."""
    try:
        return page_of_query()
    except errors.BadRequest:
        if exists is not None:
            exists()
        raise


def page_of_query() -> Page:
    """The page that the query names. Raises `BadRequest`."""
    limit = request.args.get("limit", str(DEFAULT_LIMIT))
    if not INTEGER.fullmatch(limit):
        raise errors.InvalidType(param="limit", field="limit", problem="it must be an integer")
    if int(limit) < 1:
        raise errors.TooSmall(param="limit", field="limit", problem="it must be at least 1")
    if int(limit) > MOST:
        raise errors.TooLarge(param="limit", field="limit", problem="it must be at most 100")
    order = request.args.get("order", "desc")
    if order not in {"asc", "desc"}:
        raise errors.InvalidValue(param="order", field="order", problem="it must be 'asc' or 'desc'")
    cursors = [cursor_of(name) for name in ("after", "before")]
    return Page(int(limit), order == "asc", *cursors)


def cursor_of(name: str) -> str | None:
    """A cursor of the query."""
    value = request.args.get(name)
    if value is not None and not is_id(value):
        raise no_item(name, value)
    return value


def no_item(name: str, value: str) -> errors.BadRequest:
    """A cursor that is no item of the list."""
    return errors.InvalidValue(param=name, field=name, problem=f"no item of this list has the id '{value}'")


def find_page(
    page: Page,
    places: Places,
    read: Callable[[Sequence[str]], Statement[list[R]]],
    exists: Callable[[], object],
    belongs: Callable[[R], bool] = lambda _row: True,
) -> tuple[list[R], bool]:
    """Rows of a page in its order, and whether there are more; `exists` raises when the list's owner does not."""
    found = [id for id, _ in database().read_one(places)]
    if not found:
        exists()
        check_cursors(page, read, belongs)
        return [], False
    shown = found[: page.limit]
    if page.backwards:
        shown.reverse()
    rows = {row.id: row for row in database().read_one(read(shown))}
    return [rows[id] for id in shown if id in rows], len(found) > page.limit


def check_cursors(
    page: Page, read: Callable[[Sequence[str]], Statement[list[R]]], belongs: Callable[[R], bool]
) -> None:
    """Raises when the page is empty because a cursor is no item of the list."""
    for name, value in (("after", page.after), ("before", page.before)):
        if value is None:
            continue
        rows: list[R] = database().read_one(read([value]))
        if not any(belongs(row) for row in rows):
            raise no_item(name, value)


def list_object(items: Sequence[dict[str, Any]], has_more: bool) -> dict[str, Any]:
    """The list as the wire has it."""
    return {
        "object": "list",
        "data": list(items),
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }
