"""Whose key it is: random keys are stored and looked up by their SHA-256."""

import hashlib
import time
from typing import Final

from app.database import Database
from app.errors import KeyMissing, KeyUnknown
from sql.projects import find_key, touch_key

REMEMBERED_S: Final = 3.0  # so long a revoked key may still work
MOST_REMEMBERED: Final = 10_000


class KeyRing:
    """Finds the project of a key, and remembers positive answers for a few seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[str, float]] = {}

    def project_of(self, authorization: str | None) -> str:
        """The id of the project; authorization: the header as sent. Raises `KeyMissing` or `KeyUnknown`."""
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise KeyMissing
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        project, until = self._known.get(digest, ("", 0.0))
        return project if until > time.monotonic() else self._ask(digest)

    def _ask(self, digest: bytes) -> str:
        owner = self._database.read_one(find_key(digest))
        if owner is None:
            raise KeyUnknown
        if owner.stale:
            self._database.read_one(touch_key(digest))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (owner.project_id, time.monotonic() + REMEMBERED_S)
        return owner.project_id
