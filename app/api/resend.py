"""Requests that come again: by `Idempotency-Key`, or by the client's count of its resends.

An accepted creating request is stored in the transaction that makes its object. A lock on the fingerprint (or
key) comes first, so that an overlapping resend waits for the first and then finds what it made.
"""

import hashlib
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from flask import g, request
from psycopg.errors import LockNotAvailable

from app import errors
from app.api.bodies import raw_body
from app.api.services import project
from app.database import Transaction
from sql.requests import (
    EarlierRequest,
    NewRequest,
    find_keyed,
    find_resent,
    forget_requests,
    insert_request,
    lock_request,
    raise_retry_count,
    share_request,
)
from sql.statement import Statement

LONGEST_KEY: Final = 255
MOST_TRIES: Final = 1_000_000
FORGETTING_ONE_IN: Final = 200  # requests also deletes twice as many old ones, so that the table stays short
Exists = Callable[[], object]
Holds = Callable[[str], Statement[bool | None]]


def nothing_named() -> None:
    """The path names nothing that could be missing."""


@dataclass(frozen=True)
class Asked:
    """A request as the resend rule sees it.

    counted: whether a resend without a key is looked for. exists: raises when what the path names does not exist,
    which comes before any mistake in the key.
    """

    endpoint: str
    project_id: str
    fingerprint: bytes
    retry_count: int
    key: str | None
    counted: bool
    exists: Exists = nothing_named

    @property
    def lock(self) -> int:
        """The number that equal requests share."""
        digest = self.fingerprint
        if self.key is not None:
            digest = digest_of(self.project_id.encode(), self.key.encode())
        return int.from_bytes(digest[:8], "big", signed=True)

    def earlier(self, transaction: Transaction, holds: Holds | None = None) -> str | None:
        """The id of what an earlier try made, None when this request is to be executed.

        holds: the statement that says whether what was found still is the answer to a resend without a key.
        """
        if self.key is not None:
            return self._earlier_keyed(transaction, self.key)
        if not self.counted:
            return None
        if self.retry_count == 0:
            transaction.first(share_request(self.lock))
            return None
        transaction.first(lock_request(self.lock))
        found = transaction.one(find_resent(self.fingerprint, self.retry_count))
        if found is None or (holds is not None and not transaction.one(holds(found.object_id))):
            return None
        transaction.last(raise_retry_count(found.id, self.retry_count))
        return found.object_id

    def _earlier_keyed(self, transaction: Transaction, key: str) -> str | None:
        try:
            transaction.one(lock_request(self.lock))
        except LockNotAvailable:
            raise errors.StillRunning from None
        found: EarlierRequest | None = transaction.one(find_keyed(self.project_id, key, self.fingerprint))
        if found is None:
            return None
        if not found.same:
            self.exists()
            raise errors.KeyReused
        g.replayed = True
        return found.object_id

    def remember(self, transaction: Transaction, object_id: str) -> None:
        """Stores, with the commit, what the request made."""
        if not self.counted and self.key is None:
            return
        made = NewRequest(self.project_id, self.endpoint, self.fingerprint, self.retry_count, self.key, object_id)
        transaction.last(insert_request(made))
        if random.randrange(FORGETTING_ONE_IN) == 0:
            transaction.last(forget_requests(2 * FORGETTING_ONE_IN))


def asked(endpoint: str, *, counted: bool = True, exists: Exists = nothing_named) -> Asked:
    """The request at hand. Raises `BadRequest` for a key that cannot be one."""
    try:
        key = idempotency_key()
    except errors.BadRequest:
        exists()
        raise
    fingerprint = digest_of(
        project().encode(),
        request.method.encode(),
        request.path.encode("utf-8", "surrogatepass"),
        request.query_string,
        raw_body(),
    )
    return Asked(endpoint, project(), fingerprint, retry_count(), key, counted, exists)


def digest_of(*parts: bytes) -> bytes:
    """SHA-256 over parts, each with its length so that none runs into the next."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.digest()


def retry_count() -> int:
    """How often the client has sent this request before; 0 where it does not say."""
    text = request.headers.get("x-stainless-retry-count", "0")
    if text.isascii() and text.isdigit() and len(text) < 8:
        return min(int(text), MOST_TRIES)
    return 0


def idempotency_key() -> str | None:
    """The key that the program gave, if any."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not 1 <= len(key) <= LONGEST_KEY or "\x00" in key:
        raise errors.InvalidValue(
            param="Idempotency-Key", field="Idempotency-Key", problem="it must have 1 to 255 characters"
        )
    return key
