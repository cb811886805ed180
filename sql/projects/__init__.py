"""Statements about who asks, and whether the schema is there."""

from dataclasses import dataclass

from sql.statement import Statement, no_rows, row_of, scalar, statement


@dataclass(frozen=True)
class KeyOwner:
    """Whose key it is, and what it may do; stale when its last use was noted over a minute ago."""

    project_id: str
    stale: bool
    id: str = ""
    read_only: bool = False
    per_minute: int | None = None


def find_key(sha256: bytes) -> Statement[KeyOwner | None]:
    """The owner of a valid key, by the key's SHA-256."""
    return statement("projects.find_key", row_of(KeyOwner), sha256=sha256)


def touch_key(sha256: bytes) -> Statement[None]:
    """Notes that the key was used now."""
    return statement("projects.touch_key", no_rows, sha256=sha256)


def schema_version() -> Statement[str | None]:
    """The migration that the database is at."""
    return statement("projects.schema_version", scalar)
