"""Statements of webhooks: who wants to be told, and what has been told them. Triggers write the notices."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sql.statement import Statement, no_rows, rows_of, scalar, statement


@dataclass(frozen=True)
class SubscriptionRow:
    """Who is told of what. waiting: notices that are still to be delivered, at most 10,001."""

    id: str
    url: str
    events: list[str]
    created_by: str
    created_at: datetime
    waiting: int
    delivered_at: datetime | None


@dataclass(frozen=True)
class DeliveryRow:
    """A notice: delivered, due again, or given up where neither."""

    id: str
    url: str
    event: str
    run_id: str | None
    tool_call_id: str | None
    at: datetime
    due_at: datetime | None
    tries: int
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None


@dataclass(frozen=True)
class DueDelivery:
    """A notice to send now; tries counts this one."""

    id: str
    event: str
    run_id: str | None
    tool_call_id: str | None
    data: dict[str, Any]
    at: datetime
    tries: int
    url: str
    secret: str


def insert_subscription(*, id: str, url: str, secret: str, events: Sequence[str], operator: str) -> Statement[None]:
    """Tells an address of events from now on."""
    return statement(
        "webhooks.insert_subscription", no_rows, id=id, url=url, secret=secret, events=list(events), operator=operator
    )


def remove_subscription(id: str) -> Statement[str | None]:
    """Tells it no more; answers its address, None where there is none."""
    return statement("webhooks.remove_subscription", scalar, id=id)


def list_subscriptions() -> Statement[list[SubscriptionRow]]:
    """All that are told."""
    return statement("webhooks.list_subscriptions", rows_of(SubscriptionRow))


def list_deliveries() -> Statement[list[DeliveryRow]]:
    """The 100 newest notices."""
    return statement("webhooks.list_deliveries", rows_of(DeliveryRow))


def send_again(id: str) -> Statement[str | None]:
    """Makes a notice due now; None where there is none."""
    return statement("webhooks.send_again", scalar, id=id)


def insert_test(id: str) -> Statement[str | None]:
    """A notice about nothing for a subscription; None where there is none."""
    return statement("webhooks.insert_test", scalar, id=id)


def claim_deliveries(*, most: int = 50) -> Statement[list[DueDelivery]]:
    """Takes due notices for a minute."""
    return statement("webhooks.claim_deliveries", rows_of(DueDelivery), most=most)


def record_delivery(
    id: str, *, delivered: bool, again_s: float | None, status: int | None, error: str | None
) -> Statement[None]:
    """What became of a try; again_s None: it is the last."""
    return statement(
        "webhooks.record_delivery", no_rows, id=id, delivered=delivered, again_s=again_s, status=status, error=error
    )


def prune_deliveries() -> Statement[None]:
    """Forgets what is over for a month."""
    return statement("webhooks.prune_deliveries", no_rows)
