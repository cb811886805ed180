"""Statements of the console's pages that nothing else asks: overviews, searches, pages by keyset."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sql.statement import Statement, column, row_of, rows_of, scalar, statement


@dataclass(frozen=True)
class Overview:
    """The overview's numbers; counts stop at 10,001. lag_s: how late the oldest due run is, None for none."""

    oldest_doubt: datetime | None
    in_doubt: int
    active: int
    leased: int
    expired_leases: int
    lag_s: float | None
    suspected: int
    workers: int
    paused_tools: int
    now: datetime


@dataclass(frozen=True)
class Turns:
    """Five minutes of the last hour; number 0 is the newest. Times are of completed turns, None for none."""

    number: int
    until: datetime
    made: int
    completed: int
    ended_badly: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True)
class Found:
    """What a search found: what the words were, and where they lead."""

    kind: str
    run_id: str | None
    tool_call_id: str | None
    thread_id: str | None
    state: str | None


@dataclass(frozen=True)
class EvidenceRow:
    """A piece of evidence with how long it took; the body is a payload's id."""

    id: int
    tool_call_id: str
    attempt: int | None
    kind: str
    says: str
    reason: str | None
    at: datetime
    source: str
    http_status: int | None
    external_id: str | None
    body: UUID | None
    body_bytes: int | None
    duration_s: float | None


@dataclass(frozen=True)
class PayloadRow:
    """The first 20,000 bytes of a payload, or all of a sealed one; None once scrubbed. length: of all of it."""

    id: UUID
    bytes: bytes | None
    length: int | None
    key_id: str | None


@dataclass(frozen=True)
class CallPayloads:
    """Where a call's arguments and output lie."""

    tool_call_id: str
    arguments: UUID
    output: UUID | None


@dataclass(frozen=True)
class MessageRow:
    """A message; content is the wire's list of parts."""

    id: str
    run_id: str | None
    role: str
    content: Any
    status: str
    created_at: datetime
    deleted_at: datetime | None


@dataclass(frozen=True)
class WorkerRow:
    """A worker process and how many runs it holds."""

    owner: str
    host: str
    pid: int
    slots: int
    started_at: datetime
    seen_at: datetime
    stopped_at: datetime | None
    leases: int


@dataclass(frozen=True)
class LeaseRow:
    """A run that a worker holds."""

    id: str
    status: str
    lease_owner: str
    lease_until: datetime
    epoch: int
    wakes: int
    fruitless_claims: int


@dataclass(frozen=True)
class ToolStatistics:
    """A tool's open calls, and of its newest 200: how many were in doubt, how long first attempts took."""

    name: str
    open: int
    calls: int
    doubted: int
    suspected: int
    p50_s: float | None
    p95_s: float | None


@dataclass(frozen=True)
class ThreadRow:
    """A thread with its newest run; runs stop at 101."""

    id: str
    seq: int
    project_id: str
    created_at: datetime
    deleted_at: datetime | None
    run_id: str | None
    status: str | None
    runs: int


@dataclass(frozen=True)
class SuspectedRow:
    """A call that equals an earlier one of its thread."""

    run_id: str
    tool_call_id: str
    tool: str
    state: str
    fingerprint: str
    external_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class AuditRow:
    """An entry of the audit trail; chained: its hash is right and it follows the one before."""

    id: int
    at: datetime
    operator: str
    action: str
    run_id: str | None
    tool_call_id: str | None
    object: str | None
    reason: str
    seen: dict[str, Any]
    hash: str
    chained: bool


@dataclass(frozen=True)
class AuditCheck:
    """How many entries were checked, and the first that is not as it was written."""

    looked_at: int
    broken_at: int | None


@dataclass(frozen=True)
class SystemFacts:
    """The database as it describes itself; estimates are rows of tables."""

    version: str
    name: str
    now: datetime
    started_at: datetime
    schema: str | None
    bytes: int
    estimates: dict[str, int | None]


def overview() -> Statement[Overview]:
    """The overview's numbers."""
    return statement("console.overview", lambda rows: Overview(*rows[0]))


def recent_turns(from_id: str) -> Statement[list[Turns]]:
    """The last hour in twelve pieces, oldest first; from_id: the smallest id that a run of it may have."""
    return statement("console.recent_turns", rows_of(Turns), from_id=from_id)


def find(q: str) -> Statement[list[Found]]:
    """Where some id or key leads."""
    return statement("console.find", rows_of(Found), q=q)


def evidence_of_run(run_id: str) -> Statement[list[EvidenceRow]]:
    """All that was learnt of a run's calls, in order; at most 2,000 pieces."""
    return statement("console.evidence_of_run", rows_of(EvidenceRow), run_id=run_id)


def read_payloads(ids: Sequence[UUID]) -> Statement[list[PayloadRow]]:
    """Payloads by id."""
    return statement("console.read_payloads", rows_of(PayloadRow), ids=list(ids))


def payloads_of_calls(run_id: str) -> Statement[list[CallPayloads]]:
    """Where the payloads of a run's calls lie."""
    return statement("console.payloads_of_calls", rows_of(CallPayloads), run_id=run_id)


def messages_of_thread(
    thread_id: str, *, run_id: str | None = None, up_to: int | None = None, most: int = 50
) -> Statement[list[MessageRow]]:
    """Messages of a thread, newest first; up_to: the newest place that counts."""
    return statement(
        "console.messages_of_thread", rows_of(MessageRow), thread_id=thread_id, run_id=run_id, up_to=up_to, most=most
    )


def input_of_run(run_id: str) -> Statement[int | None]:
    """The place of the newest message that a run was given."""
    return statement("console.input_of_run", scalar, run_id=run_id)


def list_workers() -> Statement[list[WorkerRow]]:
    """Workers seen within a day, at most 200."""
    return statement("console.list_workers", rows_of(WorkerRow))


def list_leases() -> Statement[list[LeaseRow]]:
    """The 100 leases that end first."""
    return statement("console.list_leases", rows_of(LeaseRow))


def tool_statistics() -> Statement[list[ToolStatistics]]:
    """How each tool does."""
    return statement("console.tool_statistics", rows_of(ToolStatistics))


def page_threads(*, before: int | None = None, id: str | None = None, most: int = 50) -> Statement[list[ThreadRow]]:
    """A page of threads, newest first; before: `seq` of the last of the page before."""
    return statement("console.page_threads", rows_of(ThreadRow), before=before, id=id, most=most)


def runs_of_thread(thread_id: str, *, most: int = 50) -> Statement[list[str]]:
    """Ids of a thread's newest runs."""
    return statement("console.runs_of_thread", column, thread_id=thread_id, most=most)


def suspected_duplicates() -> Statement[list[SuspectedRow]]:
    """The 100 newest calls of a week that equal an earlier one."""
    return statement("console.suspected_duplicates", rows_of(SuspectedRow))


def page_audit(
    *,
    before: int | None = None,
    operator: str | None = None,
    action: str | None = None,
    run_id: str | None = None,
    object: str | None = None,
    most: int = 50,
) -> Statement[list[AuditRow]]:
    """A page of the audit trail, newest first; None of a filter is no filter."""
    return statement(
        "console.page_audit",
        rows_of(AuditRow),
        before=before,
        operator=operator,
        action=action,
        run_id=run_id,
        object=object,
        most=most,
    )


def check_audit(*, most: int = 2000) -> Statement[AuditCheck | None]:
    """Checks the chain of the newest entries."""
    return statement("console.check_audit", row_of(AuditCheck), most=most)


def system_facts() -> Statement[SystemFacts]:
    """The database as it describes itself."""
    return statement("console.system_facts", lambda rows: SystemFacts(*rows[0]))
