"""Statements of operators who log in: users, sessions, and how often a login failed."""

from dataclasses import dataclass
from datetime import datetime

from sql.statement import Statement, no_rows, row_of, rows_of, scalar, statement


@dataclass(frozen=True)
class UserRow:
    """An operator, without the hash. seen_at: when a session of theirs was last used."""

    name: str
    role: str
    created_at: datetime
    changed_at: datetime
    seen_at: datetime | None


@dataclass(frozen=True)
class LoginRow:
    """What a login needs. password_hash: None for an unknown name. The counts are of failures in 15 minutes."""

    password_hash: str | None
    here: int
    anywhere: int
    any_name: int


@dataclass(frozen=True)
class SessionRow:
    """Whose session it is; stale when its last use was noted over a minute ago."""

    name: str
    role: str
    stale: bool


def insert_user(*, name: str, role: str, password_hash: str) -> Statement[str | None]:
    """Makes an operator; None where the name is taken."""
    return statement("users.insert_user", scalar, name=name, role=role, password_hash=password_hash)


def update_user(*, name: str, role: str | None = None, password_hash: str | None = None) -> Statement[str | None]:
    """Changes what is given; a new password ends all sessions. None where there is no such operator."""
    return statement("users.update_user", scalar, name=name, role=role, password_hash=password_hash)


def list_users() -> Statement[list[UserRow]]:
    """All operators."""
    return statement("users.list_users", rows_of(UserRow))


def any_user() -> Statement[bool]:
    """Whether there is an operator at all."""
    return statement("users.any_user", scalar)


def load_user(*, name: str, address: str) -> Statement[LoginRow]:
    """What a login of this name from this address needs."""
    return statement("users.load_user", lambda rows: LoginRow(*rows[0]), name=name, address=address)


def note_failure(*, name: str, address: str) -> Statement[None]:
    """Counts a failed login."""
    return statement("users.note_failure", no_rows, name=name, address=address)


def insert_session(*, sha256: bytes, name: str, address: str, life_s: float) -> Statement[None]:
    """Makes a session that lasts `life_s`."""
    return statement("users.insert_session", no_rows, sha256=sha256, name=name, address=address, life_s=life_s)


def load_session(sha256: bytes) -> Statement[SessionRow | None]:
    """The operator whose session this is, by the SHA-256 of its token."""
    return statement("users.load_session", row_of(SessionRow), sha256=sha256)


def touch_session(sha256: bytes) -> Statement[None]:
    """Notes that the session was used now."""
    return statement("users.touch_session", no_rows, sha256=sha256)


def delete_session(sha256: bytes) -> Statement[None]:
    """Ends a session."""
    return statement("users.delete_session", no_rows, sha256=sha256)
