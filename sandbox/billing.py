"""Billing: an idempotency key makes an invoice once, however often it is asked for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.action import Action, Asked, BadBodyError, Reply, optional_text, text
from sandbox.effect import Effect, iso
from sandbox.register import Kind, Register

KIND: Final = Kind("invoices", "invoice.created", "invoice_id", "INV")


class Billing:
    """The billing system: create_invoice, keyed by the header Idempotency-Key as long as the trail lives.

    Looking for the key and making the invoice are one step that nothing can come between: of several requests
    with one key at the same time one makes the invoice and the others are answered with it.
    """

    def __init__(self, home: Path) -> None:
        self.register = Register(KIND, home)
        self.actions = {"create_invoice": Action(check, self.create)}
        self._by_key: dict[str, Effect] = {}
        for effect in self.register.effects:
            self._keep(effect)

    def _keep(self, effect: Effect) -> None:
        if effect.origin.idempotency_key is not None:
            self._by_key[effect.origin.idempotency_key] = effect

    def create(self, asked: Asked) -> Reply:
        """Make an invoice, or return the one of this key; 422 when the key was used for another body."""
        known = self._by_key.get(asked.origin.idempotency_key or "")
        if known is not None and known.content != asked.fields:
            message = "this Idempotency-Key was used with another body"
            return Reply(422, {"error": "key_reused", "message": message})
        if known is not None:
            return Reply(200, shown(known), headers=(("Idempotent-Replayed", "true"),))
        effect = self.register.enter(asked.fields, asked.origin)
        self._keep(effect)
        return Reply(200, shown(effect), (effect.id,))

    def forget(self) -> None:
        """Forget the keys; the register is cleared apart."""
        self._by_key.clear()


def check(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check an invoice: {customer, amount_cents, currency?}; without a currency it is in EUR."""
    amount_cents = body.get("amount_cents")
    if not isinstance(amount_cents, int) or isinstance(amount_cents, bool) or amount_cents < 1:
        raise BadBodyError("amount_cents is required and must be a whole number of at least 1")
    currency = optional_text(body, "currency") or "EUR"
    if not (len(currency) == 3 and currency.isascii() and currency.isupper()):
        raise BadBodyError("currency must be three capital letters, as in EUR")
    return {"customer": text(body, "customer"), "amount_cents": amount_cents, "currency": currency}


def shown(effect: Effect) -> dict[str, Any]:
    """The invoice as every answer shows it."""
    return {"invoice_id": effect.id, **effect.content, "created_at": iso(effect.created_at)}
