"""Debian's Chromium on consoles in four states: empty, one, many, and a database that does not answer in time."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import psycopg
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.app.console import conftest as consoles
from tests.app.console.conftest import PASSWORD, Site, Story
from tests.browser.axe import axe_source
from tests.support.situations import NAMES

CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
LOCKED: Final = ("runs", "tool_calls", "threads", "tools", "workers", "audit")
THEMES: Final = ("light", "dark")
WIDTHS: Final = (1280, 390)

new_site = consoles.new_site


@dataclass
class Consoles:
    """A console for each state; story: the one call of `one`."""

    empty: Site
    one: Site
    many: Site
    story: Story
    stories: dict[str, Story] = field(default_factory=dict)

    def of(self, state: str) -> Site:
        """The console of a state; `slow` is `many` while its runs are locked."""
        return {"empty": self.empty, "one": self.one}.get(state, self.many)


@pytest.fixture(scope="module")
def sites(new_site: Callable[..., Site]) -> Consoles:
    """Consoles in all states."""
    empty, one, many = new_site(), new_site(), new_site()
    story = one.load("in_doubt_never")
    stories = {name: many.load(name) for name in NAMES for _ in range(4)}
    many.rows(
        "insert into counterfoil.tools (name, definition, paused_at, paused_by, pause_reason)"
        " values ('send_email', '{\"contract\": {\"repeat\": \"never\", \"timeout_s\": 10}}', now(), 'olive', 'flood')"
    )
    many.rows("insert into counterfoil.workers (owner, host, pid, slots) values ('here:1:00000000', 'here', 1, 500)")
    many.rows("update counterfoil.tool_calls set suspected_duplicate = true where tool = 'create_ticket'")
    many.rows(
        "insert into counterfoil.audit (operator, action, object, reason) select 'olive', 'pause_tool', 'send_email',"
        " 'a flood of mails' from generate_series(1, 60)"
    )
    return Consoles(empty, one, many, story, stories)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for a module. While it is open an event loop runs in this thread, which no other module may see."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGS)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules of accessibility, to run in a page."""
    source = axe_source()
    if source is None:
        pytest.skip("there is no npm to fetch axe-core with: accessibility is not checked")
    return source


Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a page of a site as an operator, in a theme and width; its `errors` are what the browser complained of."""
    contexts: dict[tuple[str, str, int], BrowserContext] = {}

    def opened(site: Site, path: str, theme: str = "light", width: int = 1280, *, name: str | None = "olive") -> Page:
        key = (site.web.url + str(name), theme, width)
        if key not in contexts:
            contexts[key] = browser.new_context(
                viewport={"width": width, "height": 844}, color_scheme="dark" if theme == "dark" else "light"
            )
            if name is not None:
                log_in(contexts[key].new_page(), site, name)
        page = contexts[key].new_page()
        errors: list[str] = []
        page.on("console", lambda message: note(message, errors))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.errors = errors  # type: ignore[attr-defined]
        page.goto(f"{site.web.url}/console{path}")
        return page

    yield opened
    for context in contexts.values():
        context.close()


def note(message: ConsoleMessage, errors: list[str]) -> None:
    """Keeps what a person would see in red or yellow in the browser's console."""
    if message.type in ("error", "warning"):
        errors.append(message.text)


def log_in(page: Page, site: Site, name: str) -> None:
    """Logs in, as a person does."""
    page.goto(f"{site.web.url}/console/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_selector("nav.side")
    page.close()


@contextmanager
def locked(site: Site) -> Iterator[None]:
    """While this lasts, nobody reads runs or calls."""
    with psycopg.connect(site.dsn) as connection:
        tables = ", ".join(f"counterfoil.{name}" for name in LOCKED)
        connection.execute(f"lock table {tables} in access exclusive mode".encode())
        yield
        connection.rollback()
