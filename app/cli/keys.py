"""`counterfoil keys`: API keys, shown once and stored as their SHA-256."""

from __future__ import annotations

import hashlib
import json
import secrets
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app.cli.database import connected
from app.cli.errors import NOT_FOUND, CommandError

if TYPE_CHECKING:
    import psycopg

    from sql.keys import ApiKey

KEY_PREFIX = "cf_"
HINT_LENGTH = 4


@click.command(help="Make an API key and print it, this once.")
@click.option("--project", required=True, metavar="NAME", help="The project, made where it is new.")
@click.option("--days", type=click.FloatRange(min=0, min_open=True), help="How long it is valid; else for ever.")
@click.option("--read-only", is_flag=True, help="It may look, and change nothing.")
@click.option(
    "--per-minute", type=click.IntRange(min=1), help="How many requests a minute it may make; else any number."
)
@click.option("--json", "as_json", is_flag=True, help='Print {"key", "project"}.')
def create(project: str, days: float | None, read_only: bool, per_minute: int | None, as_json: bool) -> None:
    """Print the key alone, or as JSON."""
    if not project.strip() or not project.isprintable() or len(project) > 200:
        raise click.BadParameter("a name of 1 to 200 letters", param_hint="--project")
    with connected() as connection:
        life_s = None if days is None else days * 86400
        key = make_key(connection, project, life_s=life_s, read_only=read_only, per_minute=per_minute)
    click.echo(json.dumps({"key": key, "project": project}) if as_json else key)


@click.command(name="list", help="List API keys, without the keys.")
@click.option("--project", metavar="NAME", help="Only of this project.")
@click.option("--json", "as_json", is_flag=True, help="One object a line.")
def list_keys(project: str | None, as_json: bool) -> None:
    """Print id, project, end of the key, and its times."""
    from sql import keys  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    with connected() as connection:
        found = execute(connection, keys.list_keys(project=project))
    for key in found:
        shown = shown_key(key)
        click.echo(json.dumps(shown) if as_json else "  ".join(str(value or "-") for value in shown.values()))


@click.command(help="Make an API key invalid from now on.")
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """KEY_ID as `keys list` shows it."""
    from sql import keys  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    with connected() as connection:
        since = execute(connection, keys.revoke_key(key_id=key_id))
    if since is None:
        raise CommandError(f"no key {key_id}", NOT_FOUND)
    click.echo(f"{key_id} is invalid since {since.isoformat(timespec='seconds')}")


def make_key(
    connection: psycopg.Connection[Any],
    project: str,
    *,
    life_s: float | None = None,
    read_only: bool = False,
    per_minute: int | None = None,
) -> str:
    """Make and store a key of the project; the key itself, which nobody can show again."""
    from sql import keys  # noqa: PLC0415
    from sql.execute import execute  # noqa: PLC0415

    key = KEY_PREFIX + secrets.token_urlsafe(32)
    made = keys.create_key(
        project=project,
        sha256=hash_of(key),
        hint=key[-HINT_LENGTH:],
        life_s=life_s,
        read_only=read_only,
        per_minute=per_minute,
    )
    while execute(connection, made) is None:
        pass  # the project was being made at the same moment
    return key


def hash_of(key: str) -> bytes:
    """What is stored of a key. It is random and long: SHA-256 is enough."""
    return hashlib.sha256(key.encode()).digest()


def shown_key(key: ApiKey) -> dict[str, str | None]:
    """What may be shown of a key."""
    return {
        "id": key.id,
        "project": key.project,
        "hint": key.hint,
        "created_at": shown_time(key.created_at),
        "last_used_at": shown_time(key.last_used_at),
        "revoked_at": shown_time(key.revoked_at),
        "expires_at": shown_time(key.expires_at),
        "may": "read" if key.read_only else "write",
        "per_minute": None if key.per_minute is None else str(key.per_minute),
    }


def shown_time(at: datetime | None) -> str | None:
    """ISO 8601 to the second."""
    return at.isoformat(timespec="seconds") if at else None
