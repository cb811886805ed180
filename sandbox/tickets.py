"""Ticketing: not idempotent, but a ticket can be looked up by the mark or the fingerprint of its request."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from sandbox.action import Action, Asked, BadBodyError, Reply, optional_text, text
from sandbox.effect import Effect, iso
from sandbox.register import Kind, Register

KIND: Final = Kind("tickets", "ticket.created", "ticket_id", "TCK")
PAGE: Final = 100


class Tickets:
    """The ticket system: create_ticket, get_ticket, and the lookup `GET /tickets`."""

    def __init__(self, home: Path) -> None:
        self.register = Register(KIND, home)
        self.forget()
        self.actions = {
            "create_ticket": Action(check_new, self.create),
            "get_ticket": Action(check_id, self.get),
            "lookup": Action(check_search, self.search),
        }

    def forget(self) -> None:
        """Drop the index; the register is cleared apart."""
        self._index: defaultdict[tuple[str, str | None], list[Effect]] = defaultdict(list)
        self._indexed = 0

    def create(self, asked: Asked) -> Reply:
        """Open a ticket, another one each time."""
        effect = self.register.enter(asked.fields, asked.origin)
        return Reply(200, shown(effect), (effect.id,))

    def get(self, asked: Asked) -> Reply:
        """Return one ticket, or 404."""
        effect = self.register.by_id.get(asked.fields["ticket_id"])
        if effect is None or not _visible(effect, asked):
            return Reply(404, {"error": "not_found", "message": f"no ticket {asked.fields['ticket_id']}"})
        return Reply(200, shown(effect))

    def search(self, asked: Asked) -> Reply:
        """Return the tickets with this mark or fingerprint, oldest first, the last `PAGE` of them at most."""
        shortest = min((self._marked(name, value) for name, value in asked.fields.items()), key=len, default=None)
        found = [
            shown(effect)
            for effect in (self.register.effects if shortest is None else shortest)
            if _is_asked_for(effect, asked) and _visible(effect, asked)
        ]
        return Reply(200, {"tickets": found[-PAGE:], "has_more": len(found) > PAGE})

    def _marked(self, name: str, value: str) -> Sequence[Effect]:
        """Return the tickets with this mark, from an index that is brought up to date when somebody asks."""
        for effect in self.register.effects[self._indexed :]:
            for mark in _marks(effect).items():
                self._index[mark].append(effect)
        self._indexed = len(self.register.effects)
        return self._index.get((name, value), ())


def check_new(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a ticket to be made: {title, body?, external_ref?}."""
    return {
        "title": text(body, "title"),
        "body": optional_text(body, "body"),
        "external_ref": optional_text(body, "external_ref"),
    }


def check_id(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a question for one ticket: {ticket_id}."""
    return {"ticket_id": text(body, "ticket_id")}


def check_search(query: Mapping[str, Any]) -> dict[str, Any]:
    """Check a search by external_ref, fingerprint, both or none; an unknown filter must not find all."""
    unknown = set(query) - {"external_ref", "fingerprint"}
    if unknown:
        raise BadBodyError(f"tickets are looked up by external_ref or fingerprint, not by {', '.join(sorted(unknown))}")
    return {name: text(query, name) for name in query}


def shown(effect: Effect) -> dict[str, Any]:
    """The ticket as every answer shows it, so that a ticket found is as good as the reply that was lost."""
    return {
        "ticket_id": effect.id,
        "title": effect.content["title"],
        "body": effect.content["body"],
        "external_ref": effect.content["external_ref"],
        "status": "open",
        "created_at": iso(effect.created_at),
    }


def _marks(effect: Effect) -> dict[str, str | None]:
    return {
        "external_ref": effect.content["external_ref"],
        "fingerprint": effect.origin.request_fingerprint,
    }


def _is_asked_for(effect: Effect, asked: Asked) -> bool:
    return asked.fields.items() <= _marks(effect).items()


def _visible(effect: Effect, asked: Asked) -> bool:
    if asked.fault("lookup_lies"):
        return False
    lag = asked.fault("lookup_lag")
    return lag is None or datetime.now(UTC) - effect.created_at >= timedelta(seconds=float(lag.value or 0))
