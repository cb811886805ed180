"""Every page × what it may have to show × light and dark × wide and narrow: fits, is accessible, complains of nothing.

`./test` looks at the pages of a person woken at night; `./test --all` (BROWSER=all) at all of them.
"""

import contextlib
import itertools
import os
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.app.console.conftest import Site
from tests.browser.conftest import THEMES, WIDTHS, Consoles, Visit, locked

LISTS = {"attention": "/attention", "runs": "/runs"}
OTHERS = {
    "overview": "/",
    "threads": "/threads",
    "effects": "/effects",
    "workers": "/workers",
    "tools": "/tools",
    "audit": "/audit",
    "webhooks": "/webhooks",
    "system": "/system",
    "incidents": "/incidents",
    "search": "/search?q=nothing",
    "no match": "/runs?status=incomplete",
    "error": "/nowhere",
}
TOLD = ("conflict", "orphan_effect", "stuck_client_call", "in_doubt_lookup", "keyed_key_expired", "held")
AXED = (("light", 1280), ("dark", 390))
STATES = ("empty", "one", "many", "slow")
ALL = os.environ.get("BROWSER") == "all"
CASES = [
    *itertools.product(LISTS, STATES),
    *(("run", "one"), ("call", "one"), ("login", "empty"), ("overview", "many")),
]
if ALL:
    CASES += [case for case in itertools.product(OTHERS, STATES) if case not in CASES]
    CASES += [(f"{kind} {name}", "many") for kind in ("run", "call") for name in TOLD]
MESSAGES = {
    ("attention", "empty"): "Nothing waits for a person",
    ("runs", "empty"): "No runs yet",
    ("attention", "slow"): "Query timed out",
    ("runs", "slow"): "Query timed out",
}
CHECK = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map(
    (v) => v.id + ": " + v.nodes.map((n) => n.html.slice(0, 160) + " " + n.failureSummary).join(" | "))"""


def path_of(page: str, sites: Consoles) -> str:
    """Where a page is."""
    kind, _, name = page.partition(" ")
    story = sites.stories.get(name, sites.story)
    known = {**LISTS, **OTHERS, "login": "/login", "run": story.run, "call": story.call}
    return known.get(page) or known[kind]


@pytest.mark.parametrize(("name", "state"), CASES, ids=str)
def test_page(name: str, state: str, sites: Consoles, visit: Visit, axe: str) -> None:
    site, path = sites.of(state), path_of(name, sites)
    for theme, width in itertools.product(THEMES, WIDTHS):
        with locked(site) if state == "slow" else contextlib.nullcontext():
            page = visit(site, path, theme, width, name=None if name == "login" else "olive")
        told = f"{name}, {state}, {theme}, {width}"
        assert MESSAGES.get((name, state), "") in page.inner_text("main"), told
        assert overflow(page) <= 0, f"{told}: wider than its window"
        # Colours are a theme's, layout a width's: two of the four cover both; --all takes the time for all.
        violations = evaluated(page, axe) if ALL or (theme, width) in AXED else []
        assert not violations, f"{told}: {violations}"
        complaints = [error for error in page.errors if "status of 40" not in error and "status of 503" not in error]  # type: ignore[attr-defined]
        assert not complaints, f"{told}: {complaints} {site.web.log_text()[-3000:]}"
        page.close()


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    found: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return found


def evaluated(page: Page, axe: str) -> list[Any]:
    """What the rules find; evaluated, since the policy refuses a script tag."""
    page.evaluate(axe)
    found: list[Any] = page.evaluate(CHECK)
    return found


def test_closed_console_says_what_to_type(new_site: Any, visit: Visit) -> None:
    closed: Site = new_site(operators=False)
    page = visit(closed, "/login", name=None)
    assert "counterfoil users add" in page.inner_text("main")
