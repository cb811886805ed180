"""What one request did to the outside world, and what that request said of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, Final

SOURCE: Final = "agent-tool-gateway"

HEADERS: Final = {
    "request_fingerprint": "X-Request-Fingerprint",
    "run_id": "X-Run-Id",
    "thread_id": "X-Thread-Id",
    "corr_id": "X-Corr-Id",
    "tool_call_id": "X-Tool-Call-Id",
    "attempt": "X-Attempt",
    "idempotency_key": "Idempotency-Key",
}


def iso(at: datetime) -> str:
    """Format a moment as ISO 8601 in UTC with milliseconds and Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Origin:
    """The headers of a request by which its sender can be told; None where a header was not there."""

    request_fingerprint: str | None = None
    run_id: str | None = None
    thread_id: str | None = None
    corr_id: str | None = None
    tool_call_id: str | None = None
    attempt: int | str | None = None
    idempotency_key: str | None = None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str]) -> "Origin":
        """Read what is there; `attempt` becomes a number when it is one."""
        found: dict[str, Any] = {name: headers.get(header) or None for name, header in HEADERS.items()}
        attempt = found["attempt"]
        if attempt is not None and attempt.isascii() and attempt.isdigit() and len(attempt) < 10:
            found["attempt"] = int(attempt)
        return cls(**found)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "Origin":
        """Read it back from a line of a trail."""
        return cls(**{field.name: record.get(field.name) for field in fields(cls)})

    def to_json(self) -> dict[str, Any]:
        """Every field, null where the header was missing."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that happened: a ticket, a message, an invoice.

    `id_name` says what its id is called (`ticket_id`); `content` is what the request asked for.
    """

    event: str
    id_name: str
    id: str
    created_at: datetime
    origin: Origin
    content: Mapping[str, Any]

    def audit(self) -> dict[str, Any]:
        """The line of an audit trail that an investigator reads: ids and fingerprints, no content."""
        return {
            "event": self.event,
            self.id_name: self.id,
            "created_at": iso(self.created_at),
            "source": SOURCE,
            **self.origin.to_json(),
            "external_ref": self.content.get("external_ref"),
        }

    def to_record(self) -> dict[str, Any]:
        """The line on disk: the audit line and the content, enough to rebuild the system's state."""
        return {**self.audit(), "content": dict(self.content)}

    @classmethod
    def from_record(cls, id_name: str, record: Mapping[str, Any]) -> "Effect":
        """Read it back; KeyError or ValueError when the line is of another system."""
        return cls(
            record["event"],
            id_name,
            record[id_name],
            datetime.fromisoformat(record["created_at"]),
            Origin.from_record(record),
            record["content"],
        )
