"""Payloads: arguments and outputs of calls, bytes that only one table holds."""

from uuid import UUID, uuid4

from sql.ledger import Payload
from sql.sealing import unseal


def text_of(content: bytes | None, key_id: str | None) -> str | None:
    """A payload as text; None when there is none, or it has been scrubbed or cannot be decrypted."""
    opened = unseal(content, key_id)
    return None if opened is None else bytes(opened).decode("utf-8", "replace")


def new_payload(text: str) -> Payload:
    """A payload to store."""
    return Payload(payload_id(), text.encode())


def payload_id() -> UUID:
    """A new payload's id."""
    return uuid4()
