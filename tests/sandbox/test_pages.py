"""The pages: what they show, what their forms do, and how they look after themselves in a browser."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PAGES = ("/", "/tickets.html", "/mail.html", "/invoices.html")
CALL = {"X-Run-Id": "run_1", "X-Tool-Call-Id": "call_1"}


def create(http: httpx.Client, title: str, **headers: str) -> str:
    ticket = http.post("/tools/create_ticket", json={"title": title}, headers=headers).json()
    return str(ticket["ticket_id"])


@pytest.mark.parametrize("path", PAGES)
def test_empty_pages_say_so(http: httpx.Client, path: str) -> None:
    answer = http.get(path)
    assert answer.status_code == 200
    assert "appear here by themselves" in answer.text
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]


def test_content_is_escaped(http: httpx.Client) -> None:
    create(http, "<script>alert(1)</script>")
    assert "<script>alert" not in http.get("/tickets.html").text
    assert "<b>" not in http.get("/", params={"wrong": "<b>x"}).text.partition("role=")[2][:30]


def test_duplicates_are_marked(http: httpx.Client) -> None:
    first, second = create(http, "A", **CALL), create(http, "A", **CALL)
    create(http, "A", **{"X-Request-Fingerprint": "f"})
    assert "Duplicate" not in http.get("/mail.html").text
    page = http.get("/tickets.html").text
    assert f'<b>Duplicate</b> 2 of 2 of one call · also <span class="whole">{first}</span>' in page
    assert f'<b>Duplicated</b> 1 of 2 of one call · also <span class="whole">{second}</span>' in page
    assert "Equal request" not in page
    assert "1 too many" in page
    create(http, "A", **{"X-Request-Fingerprint": "f"})
    assert http.get("/tickets.html").text.count("Equal request") == 2


def test_forms_switch_faults(http: httpx.Client) -> None:
    form = {
        "do": "add",
        "kind": "status_after",
        "tool": "create_ticket",
        "value": "502",
        "probability": "",
        "times": "2",
    }
    answer = http.post("/faults?page=/mail.html", data=form)
    assert (answer.status_code, answer.headers["Location"]) == (303, "/mail.html")
    (fault,) = http.get("/faults").json()["faults"]
    assert fault["spec"] == "create_ticket:status_after=502*2"
    http.post("/faults", data={"do": "remove", "number": fault["number"]})
    assert http.get("/faults").json()["faults"] == []
    http.post("/faults", data={"do": "spec", "spec": "hang,garbage"})
    http.post("/faults", data={"do": "clear"})
    assert http.get("/faults").json()["faults"] == []


@pytest.mark.parametrize("form", [{"do": "add", "kind": "latency", "value": "soon"}, {"do": "what"}])
def test_a_mistake_in_a_form_is_told_on_the_page(http: httpx.Client, form: dict[str, str]) -> None:
    answer = http.post("/faults?page=/mail.html", data=form)
    assert answer.headers["Location"].startswith("/mail.html?wrong=")
    assert 'role="alert"' in http.get(answer.headers["Location"]).text


def test_a_form_leads_nowhere_else(http: httpx.Client) -> None:
    answer = http.post("/reset?page=https://example.org/", data={"x": ""})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


def test_another_sites_page_may_not_post(http: httpx.Client) -> None:
    create(http, "A")
    answer = http.post("/reset", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert len(http.get("/audit").json()) == 1


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.skip("no Chromium on this machine")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(params=[("light", 1280), ("dark", 390)], ids=["light-1280", "dark-390"])
def page(request: pytest.FixtureRequest, browser: Browser, http: httpx.Client) -> Iterator[Page]:
    """A page that fails its test when the browser complains about anything."""
    scheme, width = request.param
    context = browser.new_context(
        base_url=str(http.base_url), color_scheme=scheme, viewport={"width": width, "height": 900}
    )
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


def test_effects_appear_by_themselves(page: Page, http: httpx.Client) -> None:
    page.goto("/tickets.html")
    first = create(http, "Printer on fire", **CALL)
    expect(page.get_by_text(first)).to_be_visible()
    create(http, "Printer on fire", **CALL)
    expect(page.get_by_text("1 too many")).to_be_visible()
    expect(page.get_by_role("link", name="Ticketing 2")).to_be_visible()


def test_a_fault_is_switched_on_and_off_by_hand(page: Page, http: httpx.Client) -> None:
    page.goto("/")
    page.get_by_label("What goes wrong").select_option("status_after")
    page.get_by_label("For tool").select_option("create_ticket")
    page.get_by_label("Value").fill("504")
    page.get_by_role("button", name="Switch on").click()
    expect(page.get_by_text("struck 0 of 0")).to_be_visible()
    http.post("/tools/create_ticket", json={"title": "A"})
    expect(page.get_by_text("struck 1 of 1")).to_be_visible()
    page.get_by_role("button", name="Switch off create_ticket:status_after=504").click()
    expect(page.get_by_text("None: every request is answered")).to_be_visible()


@pytest.mark.parametrize("path", PAGES)
def test_nothing_is_wider_than_the_window(page: Page, http: httpx.Client, path: str) -> None:
    create(http, "a_word_without_a_place_to_break_it" * 9, **dict.fromkeys(CALL, "x" * 200))
    http.post("/tools/send_email", json={"to": f"{'a' * 300}@b", "subject": "b" * 300})
    http.post("/tools/create_invoice", json={"customer": "c" * 300, "amount_cents": 10**20})
    http.post("/faults", json={"rules": [{"kind": "latency", "match": {"title": "d" * 300}}]})
    page.goto(path)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
