"""E-mail: what is sent is sent; no key, no lookup, only the audit trail knows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from sandbox.action import Action, Asked, BadBodyError, Reply, optional_text, text
from sandbox.effect import iso
from sandbox.register import Kind, Register

KIND: Final = Kind("mail", "mail.sent", "message_id", "MSG")


class Mail:
    """The mail system: send_email."""

    def __init__(self, home: Path) -> None:
        self.register = Register(KIND, home)
        self.actions = {"send_email": Action(check, self.send)}

    def send(self, asked: Asked) -> Reply:
        """Send a message, another one each time."""
        effect = self.register.enter(asked.fields, asked.origin)
        body = {"message_id": effect.id, "to": effect.content["to"], "sent_at": iso(effect.created_at)}
        return Reply(200, body, (effect.id,))


def check(body: Mapping[str, Any]) -> dict[str, Any]:
    """Check a message: {to, subject, body?}."""
    to = text(body, "to")
    if "@" not in to:
        raise BadBodyError("to must be an e-mail address")
    return {"to": to, "subject": text(body, "subject"), "body": optional_text(body, "body")}
