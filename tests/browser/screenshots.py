"""Takes the pictures of docs/console.md from a real night: `python tests/browser/screenshots.py [FOLDER]`.

Web, worker and sandbox run as they do for everybody; the sandbox loses answers, the worker is killed once.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
from playwright.sync_api import Page, expect, sync_playwright

ROOT: Final = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from app.cli.keys import make_key  # noqa: E402
from app.cli.users import hash_of  # noqa: E402
from sql import migrate  # noqa: E402
from sql.embedded import EmbeddedPostgres  # noqa: E402
from sql.execute import execute  # noqa: E402
from sql.users import insert_user  # noqa: E402
from tests.support.processes import Processes, wait_until  # noqa: E402
from tests.support.sandbox_process import SandboxProcess, start_sandbox  # noqa: E402

PASSWORD: Final = "pictures of a night"
CHROMIUM: Final = "/usr/bin/chromium"
ARGS: Final = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking")
TICKET: Final = {"name": "create_ticket", "arguments": {"title": "The lift is stuck", "body": "Second floor"}}
MAIL: Final = {"name": "send_email", "arguments": {"to": "ada@example.com", "subject": "Your ticket is open"}}
INVOICE: Final = {"name": "create_invoice", "arguments": {"customer": "Lovelace & Co", "amount_cents": 12900}}
ASK: Final = {"name": "ask_customer", "arguments": {"question": "Which floor?"}}


class Night:
    """What happens before somebody is woken."""

    def __init__(self, api: httpx.Client, dsn: str) -> None:
        self.api, self.dsn = api, dsn
        tools = [{"type": "function", "function": {"name": one["name"]}} for one in (TICKET, MAIL, INVOICE, ASK)]
        self.assistant = self._made("/assistants", {"model": "scripted", "tools": tools})["id"]

    def run(self, *entries: dict[str, Any]) -> str:
        """Starts a run that plays a script; its id."""
        message = {"role": "user", "content": json.dumps({"script": entries})}
        return str(
            self._made("/threads/runs", {"assistant_id": self.assistant, "thread": {"messages": [message]}})["id"]
        )

    def until(self, run: str, condition: str) -> None:
        """Waits for something to be true of a run's calls."""
        joined = "counterfoil.tool_calls as c join counterfoil.runs as r on r.id = c.run_id"
        text = f"select 1 from {joined} where r.id = %s and {condition}"
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            wait_until(lambda: connection.execute(text.encode(), (run,)).fetchone(), what=f"{condition} of {run}")

    def _made(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.api.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found


def play(night: Night, sandbox: SandboxProcess) -> dict[str, str]:
    """Runs that end well, and those that do not; their ids by what they show."""
    for _ in range(12):
        night.until(night.run({"tool_calls": [TICKET]}, {"say": "Done."}), "c.state = 'succeeded'")
    sandbox.post(
        "/faults", {"spec": "create_ticket:answer_lost*1,send_email:answer_lost*3,create_invoice:answer_lost*1"}
    )
    story = night.run({"tool_calls": [TICKET, INVOICE]}, {"tool_calls": [MAIL]}, {"say": "All sent."})
    others = [night.run({"tool_calls": [MAIL]}, {"say": "Sent."}) for _ in range(2)]
    client = night.run({"tool_calls": [ASK]}, {"say": "Thank you."})
    for run in (*others, story):
        night.until(run, "c.state = 'needs_operator'")
    night.until(client, "r.status = 'requires_action'")
    night.until(story, "c.tool = 'create_ticket' and c.state = 'succeeded'")
    return {"story": story, "client": client, "other": others[0]}


def take(page: Page, url: str, runs: dict[str, str], dsn: str, folder: Path) -> None:
    """All pictures."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        text = "select tool_call_id from counterfoil.tool_calls where run_id = %s and state = 'needs_operator'"
        row = connection.execute(text, (runs["story"],)).fetchone()
        assert row is not None
    page.goto(f"{url}/login")
    page.get_by_label("Name").fill("olive")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("nav.side")
    call = f"/runs/{runs['story']}/calls/{row[0]}"
    for name, path in {"overview": "/", "attention": "/attention", "run": f"/runs/{runs['story']}", "runs": "/runs",
                       "tools": "/tools", "workers": "/workers", "call": call}.items():  # fmt: skip
        page.goto(f"{url}{path}")
        if name == "call":
            # Refused while its request may be under way; the page counts down and comes back by itself.
            choice = page.get_by_label("It did not happen: send again")
            expect(choice).to_be_enabled(timeout=60_000)
            choice.check()
            page.get_by_label("Reason, for the audit trail").fill("not in the outbox of ada@example.com")
            page.wait_for_selector("#preview code:has-text('outbox')")
            page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        page.screenshot(path=folder / f"{name}.png", full_page=name in ("run", "call"))
    page.emulate_media(color_scheme="dark")
    page.goto(f"{url}/runs/{runs['story']}")
    page.screenshot(path=folder / "run-dark.png")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="light")
    page.goto(f"{url}/attention")
    page.screenshot(path=folder / "attention-390.png")


def main() -> None:
    """Plays the night and takes the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "console"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="counterfoil-pictures-") as name:
        home = Path(name)
        home.chmod(0o755)
        with EmbeddedPostgres(home) as server, Processes(home) as processes, start_sandbox(home / "sandbox") as sandbox:
            dsn = server.dsn()
            migrate.migrate_up(dsn)
            with psycopg.connect(dsn, autocommit=True) as connection:
                key = make_key(connection, "pictures")
                execute(connection, insert_user(name="olive", role="operator", password_hash=hash_of(PASSWORD)))
            web = processes.start_web(dsn)
            processes.start_worker(dsn, SANDBOX_URL=sandbox.url, COUNTERFOIL_CONFIG=ROOT / "counterfoil.toml")
            api = httpx.Client(base_url=f"{web.url}/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60)
            with api, sync_playwright() as playwright:
                runs = play(Night(api, dsn), sandbox)
                browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                take(page, f"{web.url}/console", runs, dsn, folder)
                browser.close()


if __name__ == "__main__":
    main()
