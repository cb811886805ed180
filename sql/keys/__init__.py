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
    expires_at: datetime | None = None
    read_only: bool = False
    per_minute: int | None = None


def create_key(
    *,
    project: str,
    sha256: bytes,
    hint: str,
    life_s: float | None = None,
    read_only: bool = False,
    per_minute: int | None = None,
) -> Statement[str | None]:
    """Makes a key of the project, and the project where it is new; the key's id.

    life_s: seconds until it expires, None for never. per_minute: requests, None for any number.
    The answer is None in the rare case that somebody else made the project at the same moment: execute it again.
    """
    return statement(
        "keys.create_key",
        scalar,
        new_project_id=new_id("proj"),
        project=project,
        key_id=new_id("key"),
        sha256=sha256,
        hint=hint,
        life_s=life_s,
        read_only=read_only,
        per_minute=per_minute,
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


def take_allowance(*, key_id: str, per_minute: float) -> Statement[float]:
    """Takes one request from a limited key's allowance; seconds to wait where there is none, else 0."""
    return statement("keys.take_allowance", scalar, key_id=key_id, per_minute=per_minute)
