"""Writes of a journal, made by the product's own pure parts: a claimed run, a round of calls, what is learnt."""

from app.catalog.tool import Catalog, Contract, Tool
from sql.decisions import RunRow
from sql.execute import execute
from sql.queue import ClaimedRun, claim_due
from tests.support.ledger import Book
from worker.coordinator.learn import Sent, learnt_from
from worker.coordinator.rounds import Desk, Spoken, read_calls, store_round
from worker.gateway.outcome import Delivered
from worker.models import AskedCall, Turn
from worker.records import Learnt, Write

NEVER = Tool("pay", "http://127.0.0.1:9/pay", contract=Contract(repeat="never", timeout_s=1))
DESK = Desk(Catalog({"pay": NEVER}), owner="worker-a")


def claim(book: Book, *, owner: str = "worker-a") -> ClaimedRun:
    """Claims the one run that is due, for a lease of half a minute."""
    [claimed] = execute(book.raw, claim_due(owner=owner, max_runs=1, max_suspects=1, lease_s=30))
    return claimed


def round_of(run: RunRow, *texts: str) -> Write:
    """A round of calls of `pay`, each with its intent, decided on the run as seen."""
    turn = Turn(calls=tuple(AskedCall(None, "pay", text) for text in texts or ('{"n": 1}',)))
    spoken = Spoken(f"msg_{run.id}", f"step_{run.id}")
    return store_round(run, turn, spoken, read_calls(turn, DESK, set()), [], DESK)


def reply_to(run_id: str, tool_call_id: str, *, number: int | None = 1, body: bytes = b'{"paid": true}') -> Learnt:
    """What a successful reply to an attempt teaches."""
    sent = Sent(run_id, tool_call_id, "pay", number, "worker-a", 0.1)
    return learnt_from(sent, Delivered(200, body, body))
