"""Statements of API keys: making, listing and revoking them. A key itself is never stored, only its hash."""

from dataclasses import dataclass
from datetime import datetime

from sql.ids import new_id
from sql.statement import Statement, rows_of, scalar, statement


@dataclass(frozen=True)
class ApiKey:
    """An API key as it may be shown: `hint` is the end of the key."""

    id: str
    project: str
    hint: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


def create_key(*, project: str, sha256: bytes, hint: str) -> Statement[str | None]:
    """Makes a key of the project, and the project where it is new; the key's id.

    None in the rare case that somebody else made the project at the same moment: execute it again.
    """
    return statement(
        "keys.create_key",
        scalar,
        new_project_id=new_id("proj"),
        project=project,
        key_id=new_id("key"),
        sha256=sha256,
        hint=hint,
    )


def list_keys(*, project: str | None) -> Statement[list[ApiKey]]:
    """Keys of one project, or of all."""
    return statement("keys.list_keys", rows_of(ApiKey), project=project)


def revoke_key(*, key_id: str) -> Statement[datetime | None]:
    """Makes a key invalid; since when it is, None for an unknown key."""
    return statement("keys.revoke_key", scalar, key_id=key_id)


def is_key_valid(*, sha256: bytes) -> Statement[bool]:
    """Whether the key with this hash exists and is not revoked."""
    return statement("keys.is_key_valid", scalar, sha256=sha256)
