"""Ids in paths: any string may come, and an unknown one is a 404, whatever it looks like."""

import re
from typing import Final

from app.api.services import database, project
from app.errors import NotFound
from sql.threads import read_thread

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


def is_id(text: str) -> bool:
    """Whether the text can be an id; what cannot be one is not shown to the database."""
    return _ID.fullmatch(text) is not None


def check_ids(**ids: str) -> None:
    """Raises `NotFound` for the first that cannot be an id; names are the kinds, `run_step` is a run step."""
    for kind, value in ids.items():
        if not is_id(value):
            raise missing(kind, value)


def missing(kind: str, value: str) -> NotFound:
    """The error for an id that names nothing."""
    return NotFound(kind=kind.replace("_", " "), id=value)


def require_thread(thread_id: str) -> None:
    """Raises `NotFound` unless the project has this thread."""
    if not is_id(thread_id) or database().read_one(read_thread(thread_id, project())) is None:
        raise missing("thread", thread_id)
