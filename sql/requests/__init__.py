"""Statements about accepted requests, so that a resent one finds what the first one made."""

from dataclasses import asdict, dataclass

from sql.statement import Statement, no_rows, row_of, statement


@dataclass(frozen=True)
class NewRequest:
    """An accepted request. retry_count: of the try that was answered."""

    project_id: str
    endpoint: str
    fingerprint: bytes
    retry_count: int
    idempotency_key: str | None
    object_id: str


@dataclass(frozen=True)
class EarlierRequest:
    """A stored request; `same` is False when its key came with another request."""

    id: int
    object_id: str
    same: bool = True


def share_request(lock: int) -> Statement[None]:
    """Marks a first try as under way; lock: a number made of the fingerprint."""
    return statement("requests.share_request", no_rows, lock=lock)


def lock_request(lock: int) -> Statement[None]:
    """Waits for equal requests under way; lock: a number made of the fingerprint or key."""
    return statement("requests.lock_request", no_rows, lock=lock)


def find_resent(fingerprint: bytes, retry_count: int) -> Statement[EarlierRequest | None]:
    """The newest request without a key of which this may be a later try."""
    return statement("requests.find_resent", row_of(EarlierRequest), fingerprint=fingerprint, retry_count=retry_count)


def find_keyed(project_id: str, idempotency_key: str, fingerprint: bytes) -> Statement[EarlierRequest | None]:
    """The request that came with this key."""
    return statement(
        "requests.find_keyed",
        row_of(EarlierRequest),
        project_id=project_id,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
    )


def raise_retry_count(id: int, retry_count: int) -> Statement[None]:
    """Notes the highest try that was answered."""
    return statement("requests.raise_retry_count", no_rows, id=id, retry_count=retry_count)


def insert_request(request: NewRequest) -> Statement[None]:
    """Notes an accepted request."""
    return statement("requests.insert_request", no_rows, **asdict(request))


def forget_requests(count: int) -> Statement[None]:
    """Deletes up to `count` requests that are older than a day."""
    return statement("requests.forget_requests", no_rows, count=count)
