"""Whether the process is alive, and whether it can serve."""

import re
from functools import cache
from pathlib import Path
from typing import Final

from flask import Blueprint, Response
from psycopg import Error

from app.api.services import database
from app.errors import ApiError
from sql.projects import schema_version

routes = Blueprint("health", __name__)
VERSIONS: Final = Path(__file__).parents[2] / "alembic" / "versions"
REVISION: Final = re.compile(r'^revision = "(\w+)"', re.MULTILINE)
FOLLOWS: Final = re.compile(r'^down_revision = "(\w+)"', re.MULTILINE)


@routes.get("/healthz")
def healthz() -> Response:
    """200 while alive."""
    return Response("ok\n", mimetype="text/plain")


@routes.get("/readyz")
def readyz() -> Response:
    """200 when the database answers and is at this version's schema, else 503 with the reason."""
    reason = why_not_ready()
    if reason is None:
        return Response("ready\n", mimetype="text/plain")
    return Response(f"{reason}\n", status=503, mimetype="text/plain")


def why_not_ready() -> str | None:
    """What keeps this process from serving; None when nothing does."""
    try:
        current = database().read_one(schema_version())
    except ApiError as error:
        return str(error)
    except Error:
        return "the database has no schema: run `counterfoil migrate up`"
    if current != newest_schema():
        return f"the database's schema is {current}, this version needs {newest_schema()}"
    return None


@cache
def newest_schema() -> str | None:
    """The newest migration that this version knows: the one that no other follows.

    Read from the files' headers: Alembic itself would cost each web process a second at its start.
    """
    texts = [file.read_text(encoding="utf-8") for file in VERSIONS.glob("*.py")]
    revisions = {found[1] for text in texts if (found := REVISION.search(text))}
    followed = {found[1] for text in texts if (found := FOLLOWS.search(text))}
    return max(revisions - followed, default=None)
