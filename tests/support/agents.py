"""A small system under test: workers, a catalog of the sandbox's tools with short times, a ledger, the sandbox."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.support.ledger import Book
from tests.support.processes import Process, Processes
from tests.support.sandbox_process import SandboxProcess

# Short, so that doubt is settled soon: an attempt lives for send_by (2 s) + timeout_s + the slack.
TIMES: Final = {"timeout_s": 0.5, "settle_s": 0.3}
QUICK: Final = {"LEASE_S": 1, "POLL_S": 0.2, "CLOCK_SLACK_S": 0.1}
LEDGER_OF_TOOL: Final = {"create_ticket": "tickets", "send_email": "mail", "create_invoice": "invoices"}


def sandbox_tools(url: str) -> dict[str, dict[str, Any]]:
    """The sandbox's tools, one of each contract."""
    lookup = {"url": f"{url}/tickets?external_ref={{effect_key}}", "found": "tickets", "id": "ticket_id", "tries": 3}
    common = {"parameters": {"type": "object"}, "refused_statuses": [429], **TIMES}
    return {
        "create_ticket": {
            **common,
            "repeat": "lookup",
            "body": {"external_ref": "{effect_key}"},
            "lookup": lookup,
        },
        "get_ticket": {**common, "repeat": "safe"},
        "send_email": {**common, "repeat": "never", "external_id": "message_id"},
        "create_invoice": {**common, "repeat": "keyed", "key_ttl_s": 3600, "external_id": "invoice_id"},
    }


def catalog_text(url: str, **changes: Mapping[str, Any]) -> str:
    """A catalog of the sandbox's tools as TOML; `create_ticket={"settle_s": 5}` changes keys, None drops one."""
    lines = []
    for name, tool in sandbox_tools(url).items():
        lines.append(f"[tools.{name}]")
        keys = {"url": f"{url}/tools/{name}", **tool, **changes.get(name, {})}
        lines += [f"{key} = {toml(value)}" for key, value in keys.items() if value is not None]
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    """A value as TOML, in one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)


class Agents:
    """Everything that a test of behaviour needs, on a database of its own."""

    def __init__(self, dsn: str, folder: Path, sandbox: SandboxProcess, processes: Processes) -> None:
        self.dsn = dsn
        self.folder = folder
        self.sandbox = sandbox
        self.processes = processes
        self.book = Book(dsn)
        self.set_catalog()

    def set_catalog(self, **changes: Mapping[str, Any]) -> None:
        """The catalog that workers started from now on read."""
        (self.folder / "counterfoil.toml").write_text(catalog_text(self.sandbox.url, **changes))

    def set_faults(self, spec: str) -> None:
        """The sandbox's faults from now on."""
        self.sandbox.post("/faults", {"spec": spec})

    def start_worker(self, **env: object) -> Process:
        """A worker with short times; it is ready when this returns."""
        return self.processes.start_worker(self.dsn, **{**QUICK, **env})

    def effects(self, run: str, tool: str = "create_ticket") -> list[dict[str, Any]]:
        """What the outside world says that a run did: the trail of the tool's system."""
        return list(self.sandbox.get(f"/audit/{LEDGER_OF_TOOL[tool]}?run_id={run}"))

    def requests(self, run: str, tool: str = "create_ticket") -> list[dict[str, Any]]:
        """All requests for a run that reached a tool, effect or not; `lookup` for lookups."""
        return list(self.sandbox.get(f"/requests?run_id={run}&tool={tool}"))
