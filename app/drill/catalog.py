"""The drill's own catalog: one tool of each contract and of each rule that matters, with times that are soon over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

TIMEOUT_S: Final = 1.0
SETTLE_S: Final = 2.5
ANY_TICKET: Final = "TCK-@-0"  # stands for a ticket that is made before the drill


@dataclass(frozen=True)
class ToolKind:
    """A tool that turns ask for.

    sandbox: the sandbox's tool behind it, None for a client's; marked_by: the argument that holds a call's mark;
    trail, id_name: where and as what its effects are written down, None where it has none.
    """

    name: str
    repeat: str
    sandbox: str | None
    marked_by: str
    trail: str | None
    id_name: str
    weight: float
    arguments: Mapping[str, Any] = field(default_factory=dict)
    more: str = ""
    reuses: bool = False


LOOKUP: Final = """body = { external_ref = "{effect_key}" }
lookup = { url = "${SANDBOX_URL}/tickets?external_ref={effect_key}", found = "tickets", id = "ticket_id", tries = 5 }
"""
KEYED: Final = 'key_ttl_s = 3600\nexternal_id = "invoice_id"\n'
TOOLS: Final[Mapping[str, ToolKind]] = {
    kind.name: kind
    for kind in (
        ToolKind("create_ticket", "lookup", "create_ticket", "title", "tickets", "ticket_id", 5, more=LOOKUP),
        ToolKind(
            "create_ticket_told",
            "lookup",
            "create_ticket",
            "title",
            "tickets",
            "ticket_id",
            1,
            more=LOOKUP + 'when_in_doubt = "tell_model"\n',
        ),
        ToolKind(
            "create_ticket_once",
            "lookup",
            "create_ticket",
            "title",
            "tickets",
            "ticket_id",
            1,
            more=LOOKUP + 'same_request = "reuse"\n',
            reuses=True,
        ),
        ToolKind(
            "create_invoice",
            "keyed",
            "create_invoice",
            "customer",
            "invoices",
            "invoice_id",
            4,
            {"amount_cents": 100},
            KEYED,
        ),
        ToolKind(
            "create_invoice_once",
            "keyed",
            "create_invoice",
            "customer",
            "invoices",
            "invoice_id",
            1,
            {"amount_cents": 100},
            KEYED + 'same_request = "reuse"\n',
            reuses=True,
        ),
        ToolKind(
            "send_email",
            "never",
            "send_email",
            "subject",
            "mail",
            "message_id",
            2,
            {"to": "drill@example.com"},
            'external_id = "message_id"\n',
        ),
        ToolKind("get_ticket", "safe", "get_ticket", "note", None, "ticket_id", 2, {"ticket_id": ANY_TICKET}),
        ToolKind("ask_person", "never", None, "question", None, "", 1),
    )
}


def catalog_text() -> str:
    """The catalog as TOML; its one variable is SANDBOX_URL."""
    return "\n".join(_section(kind) for kind in TOOLS.values() if kind.sandbox is not None)


def _section(kind: ToolKind) -> str:
    return (
        f"[tools.{kind.name}]\n"
        f'url = "${{SANDBOX_URL}}/tools/{kind.sandbox}"\n'
        f'repeat = "{kind.repeat}"\n'
        f"timeout_s = {TIMEOUT_S}\nsettle_s = {SETTLE_S}\nrefused_statuses = [429]\n"
        f'parameters = {{ type = "object" }}\n{kind.more}'
    )
