"""From the overview to a settled call: by keyboard, by mouse, and without scripts."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from tests.app.console.conftest import PASSWORD, Site
from tests.browser.conftest import Visit


@pytest.fixture(scope="module")
def site(new_site: Callable[..., Site]) -> Site:
    """A console of this module's own."""
    return new_site()


def test_by_keyboard(site: Site, visit: Visit) -> None:
    story = site.load("in_doubt_never")
    page = visit(site, "/")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{story.call}")
    page.get_by_role("radio", name="It did not happen: tell the model").focus()
    page.keyboard.press("Space")
    expect(page.locator("#preview")).to_contain_text("an operator found that it did not happen")
    page.get_by_label("Reason, for the audit trail").focus()
    page.keyboard.type("not in the mailbox")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").first).to_contain_text("The call is failed")
    assert not page.errors  # type: ignore[attr-defined]


def test_sending_again_asks_for_the_id(site: Site, visit: Visit) -> None:
    story = site.load("in_doubt_never")
    page = visit(site, story.call)
    expect(page.get_by_label("Only for sending again")).to_be_hidden()
    page.get_by_label("It did not happen: send again").check()
    page.get_by_label("Only for sending again").fill(story.call_id)
    page.get_by_label("Reason, for the audit trail").fill("not in the mailbox")
    page.get_by_role("button", name="Settle").click()
    expect(page.get_by_role("status").first).to_contain_text("The call is pending")


def test_without_scripts(site: Site, browser: Browser) -> None:
    story = site.load("in_doubt_never")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.web.url}/console{story.call}")
    page.get_by_label("Name").fill("olive")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{story.call}")
    page.get_by_label("It happened").check()
    page.get_by_label("Output for the model, as JSON").fill('{"message_id": "MSG-1"}')
    page.get_by_role("button", name="Preview").click()
    expect(page.locator("#preview")).to_contain_text("MSG-1")
    page.get_by_label("Reason, for the audit trail").fill("found it")
    page.get_by_role("button", name="Settle").click()
    expect(page.get_by_role("status").first).to_contain_text("The call is succeeded")
    context.close()


def test_pages_look_again_by_themselves_and_keep_what_is_typed(site: Site, visit: Visit) -> None:
    page = visit(site, "/attention")
    story = site.load("in_doubt_never")
    expect(page.locator(f"a[href$='{story.call}']").first).to_be_visible(timeout=15_000)
    call = visit(site, story.call)
    call.get_by_label("Reason, for the audit trail").fill("half a sent")
    call.locator("h1").click()
    site.rows("update counterfoil.tool_calls set version = version + 1 where run_id = %s", story.run_id)
    expect(call.locator("#changed")).to_be_visible(timeout=15_000)
    expect(call.get_by_label("Reason, for the audit trail")).to_have_value("half a sent")


def test_keys(site: Site, visit: Visit) -> None:
    page = visit(site, "/runs")
    page.keyboard.press("/")
    expect(page.locator("#find")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.locator("#help")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("a")
    page.wait_for_url("**/console/attention")
