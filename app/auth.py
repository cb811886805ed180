"""Whose key it is: random keys are stored and looked up by their SHA-256."""

import hashlib
import time
from typing import Final

from app.database import Database
from app.errors import KeyMissing, KeyUnknown, RateLimited, ReadOnlyKey
from sql.keys import take_allowance
from sql.projects import KeyOwner, find_key, touch_key

REMEMBERED_S: Final = 3.0  # so long a revoked key may still work
MOST_REMEMBERED: Final = 10_000


class KeyRing:
    """Finds the project of a key, and remembers positive answers for a few seconds."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[KeyOwner, float]] = {}

    def project_of(self, authorization: str | None, *, writes: bool = True) -> str:
        """The id of the project; authorization: the header as sent; writes: whether the request may change anything.

        Raises `KeyMissing`, `KeyUnknown` (also for one that expired or was revoked), `ReadOnlyKey`, `RateLimited`.
        """
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise KeyMissing
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        known = self._known.get(digest)
        owner = known[0] if known is not None and known[1] > time.monotonic() else self._ask(digest)
        if owner.per_minute is not None:
            self._take(owner.id, owner.per_minute)
        if writes and owner.read_only:
            raise ReadOnlyKey
        return owner.project_id

    def _ask(self, digest: bytes) -> KeyOwner:
        owner = self._database.read_one(find_key(digest))
        if owner is None:
            raise KeyUnknown
        if owner.stale:
            self._database.read_one(touch_key(digest))
        if len(self._known) >= MOST_REMEMBERED:
            self._known.clear()
        self._known[digest] = (owner, time.monotonic() + REMEMBERED_S)
        return owner

    def _take(self, key_id: str, per_minute: int) -> None:
        """One round trip, for limited keys only: the allowance is one for all processes."""
        wait_s = self._database.read_one(take_allowance(key_id=key_id, per_minute=per_minute))
        if wait_s > 0:
            raise RateLimited(per_minute=per_minute, wait_s=wait_s)
