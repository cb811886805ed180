"""What each of the three systems promises, with nothing going wrong."""

import asyncio
from typing import Any

import aiohttp
import httpx
import pytest

from tests.support.sandbox_process import SandboxProcess

CALL = {
    "X-Run-Id": "run_1",
    "X-Thread-Id": "thr_1",
    "X-Corr-Id": "corr_1",
    "X-Tool-Call-Id": "call_1",
    "X-Attempt": "2",
    "X-Request-Fingerprint": "9b3f",
    "Idempotency-Key": "key_1",
}
INVOICE = {"customer": "ACME", "amount_cents": 1250}


def test_each_post_makes_a_new_ticket(http: httpx.Client) -> None:
    first, second = (http.post("/tools/create_ticket", json={"title": "A"}).json() for _ in range(2))
    assert first["ticket_id"].startswith("TCK-")
    assert first["title"] == "A"
    assert first["ticket_id"] != second["ticket_id"]
    assert len(http.get("/audit/tickets").json()) == 2


def test_a_key_does_not_make_a_ticket_idempotent(http: httpx.Client) -> None:
    ids = {http.post("/tools/create_ticket", json={"title": "A"}, headers=CALL).json()["ticket_id"] for _ in "12"}
    assert len(ids) == 2


def test_a_ticket_is_found_by_its_mark_as_its_reply_showed_it(http: httpx.Client) -> None:
    body = {"title": "A", "body": "it burns", "external_ref": "ek_1"}
    reply = http.post("/tools/create_ticket", json=body, headers=CALL).json()
    http.post("/tools/create_ticket", json={"title": "A", "external_ref": "ek_2"})
    assert http.get("/tickets", params={"external_ref": "ek_1"}).json() == {"tickets": [reply], "has_more": False}
    assert http.get("/tickets", params={"fingerprint": "9b3f"}).json()["tickets"] == [reply]
    assert http.get("/tickets", params={"external_ref": "ek_2", "fingerprint": "9b3f"}).json()["tickets"] == []
    assert http.get("/tickets", params={"external_ref": "ek_3"}).json()["tickets"] == []
    assert len(http.get("/tickets").json()["tickets"]) == 2


@pytest.mark.parametrize("query", [{"external_ref": ""}, {"external-ref": "x"}])
def test_a_lookup_that_asks_for_nothing_in_particular_is_refused(http: httpx.Client, query: dict[str, str]) -> None:
    answer = http.get("/tickets", params=query)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_body"


def test_a_long_list_says_that_there_is_more(http: httpx.Client) -> None:
    for _ in range(101):
        http.post("/tools/create_ticket", json={"title": "A", "external_ref": "same"})
    found = http.get("/tickets", params={"external_ref": "same"}).json()
    assert (len(found["tickets"]), found["has_more"]) == (100, True)


def test_get_ticket_both_ways(http: httpx.Client) -> None:
    made = http.post("/tools/create_ticket", json={"title": "A"}).json()
    wanted = {"ticket_id": made["ticket_id"]}
    assert http.get("/tools/get_ticket", params=wanted).json() == made
    assert http.post("/tools/get_ticket", json=wanted).json() == made
    assert http.post("/tools/get_ticket", json={"ticket_id": "TCK-no"}).status_code == 404


def test_each_mail_is_sent(http: httpx.Client) -> None:
    mail = {"to": "a@example.org", "subject": "Hello"}
    ids = {http.post("/tools/send_email", json=mail, headers=CALL).json()["message_id"] for _ in "12"}
    assert len(ids) == 2


def test_an_invoice_is_made_once_for_a_key(http: httpx.Client) -> None:
    first = http.post("/tools/create_invoice", json=INVOICE, headers={"Idempotency-Key": "k"})
    again = http.post("/tools/create_invoice", json=INVOICE, headers={"Idempotency-Key": "k"})
    assert first.content == again.content
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(http.get("/audit/invoices").json()) == 1


def test_a_key_with_another_body_is_refused(http: httpx.Client) -> None:
    http.post("/tools/create_invoice", json=INVOICE, headers={"Idempotency-Key": "k"})
    other = http.post("/tools/create_invoice", json={**INVOICE, "amount_cents": 1}, headers={"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert other.json()["error"] == "key_reused"
    assert len(http.get("/audit/invoices").json()) == 1


def test_without_a_key_each_invoice_is_another(http: httpx.Client) -> None:
    ids = {http.post("/tools/create_invoice", json=INVOICE).json()["invoice_id"] for _ in "12"}
    assert len(ids) == 2


async def _all_at_once(url: str, path: str, body: Any, times: int, headers: dict[str, str]) -> list[Any]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, headers=headers) as client:

        async def one() -> Any:
            async with client.post(path, json=body) as answer:
                assert answer.status == 200
                return await answer.json()

        return await asyncio.gather(*(one() for _ in range(times)))


def test_one_key_at_the_same_time_makes_one_invoice(sandbox: SandboxProcess) -> None:
    sandbox.post("/faults", "latency=0.2")
    answers = asyncio.run(_all_at_once(sandbox.url, "/tools/create_invoice", INVOICE, 50, {"Idempotency-Key": "k"}))
    assert len({answer["invoice_id"] for answer in answers}) == 1
    assert len(sandbox.get("/audit/invoices")) == 1


def test_500_calls_in_flight(sandbox: SandboxProcess) -> None:
    sandbox.post("/faults", "latency=1,latency_after=0.5")
    answers = asyncio.run(_all_at_once(sandbox.url, "/tools/create_ticket", {"title": "A"}, 500, {}))
    assert len({answer["ticket_id"] for answer in answers}) == 500
    assert len(sandbox.get("/audit/tickets")) == 500


@pytest.mark.parametrize(
    ("tool", "body", "word"),
    [
        ("create_ticket", {}, "title"),
        ("create_ticket", {"title": " "}, "title"),
        ("create_ticket", {"title": 5}, "title"),
        ("create_ticket", {"title": "A", "body": 5}, "body"),
        ("create_ticket", {"title": "A", "external_ref": []}, "external_ref"),
        ("create_ticket", {"title": "A" * 200_000}, "title"),
        ("get_ticket", {}, "ticket_id"),
        ("send_email", {"to": "nobody", "subject": "A"}, "to"),
        ("send_email", {"to": "a@b"}, "subject"),
        ("create_invoice", {"customer": "A"}, "amount_cents"),
        ("create_invoice", {"customer": "A", "amount_cents": True}, "amount_cents"),
        ("create_invoice", {"customer": "A", "amount_cents": 1.5}, "amount_cents"),
        ("create_invoice", {"customer": "A", "amount_cents": 0}, "amount_cents"),
        ("create_invoice", {"amount_cents": 1}, "customer"),
        ("create_invoice", {"customer": "A", "amount_cents": 1, "currency": "euro"}, "currency"),
        ("create_ticket", ["title"], "object"),
        ("create_ticket", None, "object"),
    ],
)
def test_a_bad_body_is_told_and_has_no_effect(http: httpx.Client, tool: str, body: Any, word: str) -> None:
    answer = http.post(f"/tools/{tool}", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "bad_body"
    assert word in answer.json()["message"]
    assert http.get("/audit").json() == []


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"title": "A"', b"[" * 100_000])
def test_what_is_not_json_is_told(http: httpx.Client, body: bytes) -> None:
    answer = http.post("/tools/create_ticket", content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_body")
    assert http.get("/audit").json() == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/tools/create_ticket?title=A", 405),
        ("PUT", "/tools/create_ticket", 405),
        ("POST", "/tools/lookup", 404),
        ("POST", "/tickets", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/audit/nothing", 404),
        ("GET", "/requests?limit=all", 400),
        ("GET", "/static/none.js", 404),
    ],
)
def test_other_requests_are_refused_in_json(http: httpx.Client, method: str, path: str, status: int) -> None:
    answer = http.request(method, path)
    assert answer.status_code == status
    assert set(answer.json()) == {"error", "message"}
    assert http.get("/audit").json() == []


def test_a_body_over_1_mib_is_refused(http: httpx.Client) -> None:
    assert http.post("/tools/create_ticket", content=b" " * (2**20 + 1)).status_code == 413


def test_the_audit_says_who_asked(http: httpx.Client) -> None:
    body = {"title": "secret", "external_ref": "ek_1"}
    made = http.post("/tools/create_ticket", json=body, headers=CALL).json()
    assert http.get("/audit/tickets").json() == [
        {
            "event": "ticket.created",
            "ticket_id": made["ticket_id"],
            "created_at": made["created_at"],
            "source": "agent-tool-gateway",
            "request_fingerprint": "9b3f",
            "run_id": "run_1",
            "thread_id": "thr_1",
            "corr_id": "corr_1",
            "tool_call_id": "call_1",
            "attempt": 2,
            "idempotency_key": "key_1",
            "external_ref": "ek_1",
        }
    ]


def test_the_whole_audit_is_in_order_and_can_be_filtered(http: httpx.Client) -> None:
    http.post("/tools/create_ticket", json={"title": "A"}, headers={"X-Run-Id": "run_1"})
    http.post("/tools/send_email", json={"to": "a@b", "subject": "A"}, headers={"X-Run-Id": "run_2"})
    http.post("/tools/create_invoice", json=INVOICE, headers={"X-Run-Id": "run_1"})
    events = [line["event"] for line in http.get("/audit").json()]
    assert events == ["ticket.created", "mail.sent", "invoice.created"]
    events = [line["event"] for line in http.get("/audit?run_id=run_1").json()]
    assert events == ["ticket.created", "invoice.created"]


def test_the_access_log_knows_requests_without_effect(http: httpx.Client) -> None:
    http.post("/tools/create_ticket", json={}, headers=CALL)
    made = http.post("/tools/create_ticket", json={"title": "A"}).json()
    bad, good = http.get("/requests").json()
    assert (bad["status"], bad["answer"], bad["effects"], bad["tool_call_id"]) == (400, "sent", [], "call_1")
    assert (good["status"], good["effects"]) == (200, [made["ticket_id"]])
    assert http.get("/requests?run_id=run_1").json() == [bad]
    assert http.get("/requests?limit=1").json() == [good]


def test_a_lone_surrogate_breaks_nothing(http: httpx.Client) -> None:
    answer = http.post("/tools/create_ticket", content=b'{"title": "\\ud800 \\u0000"}')
    assert answer.status_code == 200
    assert http.get("/tickets.html").status_code == 200
    assert http.get("/tickets").status_code == 200
