"""Statements of payloads as such: scrubbing them when their time is over, sealing them with another key."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sql.statement import Statement, column, row_of, rows_of, statement


@dataclass(frozen=True)
class SealedRow:
    """A stored payload; key_id names the key that opens it, None for none."""

    id: UUID
    bytes: bytes
    key_id: str | None


@dataclass(frozen=True)
class Erasure:
    """What an erasure did: messages emptied, payloads due to be scrubbed, calls left since they are not settled."""

    messages: int
    payloads: int
    unsettled: int


def plan_scrubs(*, keep_s: float, max_runs: int) -> Statement[list[UUID]]:
    """Gives the payloads of runs that are over the time of their scrubbing, seconds after the last of it all."""
    return statement("payloads.plan_scrubs", column, keep_s=keep_s, max_runs=max_runs)


def scrub_payloads(*, max_payloads: int) -> Statement[list[UUID]]:
    """Scrubs payloads whose time has come; answers which."""
    return statement("payloads.scrub_payloads", column, max_payloads=max_payloads)


def erase_thread(thread_id: str) -> Statement[Erasure | None]:
    """Empties a thread's messages, and has its payloads scrubbed by the next sweep."""
    return statement("payloads.erase_thread", row_of(Erasure), thread_id=thread_id)


def page_sealed(*, key_id: str | None, after: UUID | None, max_payloads: int) -> Statement[list[SealedRow]]:
    """Payloads that are not sealed with the key, from an id on."""
    return statement("payloads.page_sealed", rows_of(SealedRow), key_id=key_id, after=after, max_payloads=max_payloads)


def reseal_payloads(
    ids: Sequence[UUID], stored: Sequence[bytes], was: Sequence[str | None], *, key_id: str | None
) -> Statement[list[UUID]]:
    """Stores payloads sealed anew, where they are still sealed as they were."""
    return statement("payloads.reseal_payloads", column, id=list(ids), bytes=list(stored), was=list(was), key_id=key_id)
