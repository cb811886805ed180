"""Each fault at a real sandbox: what the client sees, and what the audit trail says."""

import json
import socket
import threading
from datetime import datetime
from http.client import HTTPConnection, IncompleteRead
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.processes import wait_until
from tests.support.sandbox_process import SandboxProcess

TICKET = {"title": "A", "external_ref": "ek_1"}


def effects(http: httpx.Client) -> int:
    return len(http.get("/audit").json())


def last_request(http: httpx.Client) -> Any:
    return next(iter(http.get("/requests?limit=1").json()), {"answer": None})


def seconds_after_arrival(http: httpx.Client) -> float:
    """How long after its request's arrival the only effect came."""
    (effect,) = http.get("/audit").json()
    moments = (datetime.fromisoformat(at) for at in (effect["created_at"], last_request(http)["at"]))
    return (next(moments) - next(moments)).total_seconds()


def set_faults(http: httpx.Client, said: Any) -> None:
    http.post("/faults", json=said).raise_for_status()


def create(http: httpx.Client, **options: Any) -> httpx.Response:
    return http.post("/tools/create_ticket", json=TICKET, **options)


@pytest.mark.parametrize("end", ["reset", "close"])
def test_answer_lost(http: httpx.Client, end: str) -> None:
    set_faults(http, f"answer_lost={end}")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        create(http)
    assert effects(http) == 1
    assert (last_request(http)["answer"], last_request(http)["status"]) == ("lost", None)
    assert len(last_request(http)["effects"]) == 1


@pytest.mark.parametrize("end", ["reset", "close"])
def test_request_lost(http: httpx.Client, end: str) -> None:
    set_faults(http, f"request_lost={end}")
    with pytest.raises((httpx.ReadError, httpx.RemoteProtocolError)):
        create(http)
    assert effects(http) == 0


def test_a_reset_is_a_reset_and_a_close_is_not(http: httpx.Client, sandbox: SandboxProcess) -> None:
    set_faults(http, "answer_lost=reset*1,answer_lost=close")
    with pytest.raises(ConnectionResetError):
        _raw(sandbox)
    assert _raw(sandbox) == b""


def _raw(sandbox: SandboxProcess) -> bytes:
    address = urlsplit(sandbox.url)
    body = json.dumps(TICKET).encode()
    with socket.create_connection((address.hostname, address.port), timeout=30) as sock:
        head = f"POST /tools/create_ticket HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sock.sendall(head.encode() + body)
        return sock.recv(65536)


@pytest.mark.parametrize(
    ("fault", "status", "happened"),
    [
        ("status_before", 503, 0),
        ("status_before=408", 408, 0),
        ("status_after", 500, 1),
        ("status_after=502", 502, 1),
        ("refused", 429, 0),
        ("redirect", 302, 0),
        ("redirect=307", 307, 0),
        ("no_content", 204, 1),
        ("garbage", 200, 1),
        ("twice", 200, 2),
    ],
)
def test_statuses(http: httpx.Client, fault: str, status: int, happened: int) -> None:
    set_faults(http, fault)
    answer = create(http)
    assert (answer.status_code, effects(http)) == (status, happened)
    assert last_request(http)["status"] == status
    assert len(last_request(http)["effects"]) == happened


def test_refused_says_when_to_come_back_and_redirect_where_to_go(http: httpx.Client) -> None:
    set_faults(http, "refused*1,redirect")
    assert create(http).headers["Retry-After"] == "1"
    assert create(http).headers["Location"] == "/tools/create_ticket"


def test_garbage_is_not_json(http: httpx.Client) -> None:
    set_faults(http, "garbage")
    with pytest.raises(json.JSONDecodeError):
        create(http).json()


def test_nul_is_escaped_json_or_raw(http: httpx.Client) -> None:
    set_faults(http, "nul*1,nul=raw")
    assert create(http).json()["note"] == "\0"
    assert b"\0" in create(http).content


def test_bad_utf8(http: httpx.Client) -> None:
    set_faults(http, "bad_utf8")
    with pytest.raises(UnicodeDecodeError):
        create(http).content.decode()
    assert effects(http) == 1


@pytest.mark.parametrize(("spec", "least"), [("huge", 5 * 2**20), ("huge=0.5", 2**19)])
def test_huge_is_json_all_the_same(http: httpx.Client, spec: str, least: int) -> None:
    set_faults(http, spec)
    answer = create(http)
    assert len(answer.content) > least
    assert answer.json()["ticket_id"]


def test_cut_breaks_off_in_the_body(http: httpx.Client, sandbox: SandboxProcess) -> None:
    set_faults(http, "cut")
    connection = HTTPConnection(urlsplit(sandbox.url).netloc, timeout=30)
    connection.request("POST", "/tools/create_ticket", json.dumps(TICKET))
    answer = connection.getresponse()
    with pytest.raises(IncompleteRead):
        answer.read()
    assert answer.status == 200
    connection.close()
    assert effects(http) == 1


def test_drip_arrives_whole_in_the_end(http: httpx.Client) -> None:
    set_faults(http, "drip=0.2")
    assert create(http).json()["title"] == "A"


def test_drip_takes_longer_than_an_impatient_client(http: httpx.Client) -> None:
    set_faults(http, "drip=600")
    with http.stream("POST", "/tools/create_ticket", json=TICKET, timeout=1) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.ReadTimeout):
            answer.read()
    assert effects(http) == 1


def test_hang_never_answers_and_does_nothing(http: httpx.Client) -> None:
    set_faults(http, "hang")
    with pytest.raises(httpx.ReadTimeout):
        create(http, timeout=0.3)
    wait_until(lambda: last_request(http)["answer"] == "none", what="the request's arrival")
    assert effects(http) == 0


def test_a_late_effect_comes_though_the_client_has_gone(http: httpx.Client) -> None:
    set_faults(http, "late=1")
    with pytest.raises(httpx.ReadTimeout):
        create(http, timeout=0.2)
    wait_until(lambda: last_request(http)["answer"] == "gone", what="the client's leaving")
    wait_until(lambda: effects(http) == 1, what="the late effect")
    assert seconds_after_arrival(http) >= 0.99
    assert len(last_request(http)["effects"]) == 1


def test_a_slow_effect_comes_though_the_client_has_gone(http: httpx.Client) -> None:
    set_faults(http, "latency=1")
    with pytest.raises(httpx.ReadTimeout):
        create(http, timeout=0.2)
    wait_until(lambda: effects(http) == 1, what="the slow effect")
    assert seconds_after_arrival(http) >= 0.99


def test_latency_after_the_effect(http: httpx.Client) -> None:
    set_faults(http, "latency_after=600")
    with pytest.raises(httpx.ReadTimeout):
        create(http, timeout=0.3)
    wait_until(lambda: effects(http) == 1, what="the effect")


def test_202_and_the_effect_later(http: httpx.Client) -> None:
    set_faults(http, "accept_202=0.5")
    assert create(http).status_code == 202
    wait_until(lambda: effects(http) == 1, what="the accepted effect")
    assert seconds_after_arrival(http) >= 0.49


def test_faults_add_up(http: httpx.Client) -> None:
    set_faults(http, "latency=0.01,twice,status_after=504")
    assert (create(http).status_code, effects(http)) == (504, 2)
    assert last_request(http)["faults"] == ["latency=0.01", "twice", "status_after=504"]


def test_lookup_down(http: httpx.Client) -> None:
    create(http)
    set_faults(http, "lookup_down")
    assert http.get("/tickets?external_ref=ek_1").status_code == 503
    assert create(http).status_code == 200


def test_lookup_lies(http: httpx.Client) -> None:
    create(http)
    set_faults(http, "lookup_lies")
    assert http.get("/tickets?external_ref=ek_1").json()["tickets"] == []


def test_lookup_lag(http: httpx.Client) -> None:
    create(http)
    set_faults(http, "lookup_lag=600")
    assert http.get("/tickets?external_ref=ek_1").json()["tickets"] == []
    set_faults(http, "lookup_lag=0.3")
    wait_until(lambda: http.get("/tickets?external_ref=ek_1").json()["tickets"], what="the lag's end")


def test_any_fault_can_be_for_the_lookup(http: httpx.Client) -> None:
    create(http)
    set_faults(http, "lookup:garbage")
    assert http.get("/tickets?external_ref=ek_1").text.startswith("<html>")
    assert create(http).json()["title"] == "A"


def test_a_rule_for_the_first_request_with_a_title(http: httpx.Client) -> None:
    rule = {"tool": "create_ticket", "match": {"title": "A"}, "kind": "status_after", "times": 1}
    set_faults(http, {"rules": [rule]})
    assert http.post("/tools/create_ticket", json={"title": "B"}).status_code == 200
    assert [create(http).status_code for _ in range(3)] == [500, 200, 200]
    assert http.get("/faults").json()["rules"][0]["struck"] == 1


def test_a_rule_can_be_for_an_attempt_of_a_call(http: httpx.Client) -> None:
    set_faults(http, {"rules": [{"kind": "refused", "match": {"tool_call_id": "call_1", "attempt": 1}}]})
    for attempt, status in ((1, 429), (2, 200)):
        headers = {"X-Tool-Call-Id": "call_1", "X-Attempt": str(attempt)}
        assert create(http, headers=headers).status_code == status


def test_a_header_speaks_for_its_request_alone(http: httpx.Client) -> None:
    set_faults(http, "status_before")
    assert create(http, headers={"X-Sandbox-Fault": "none"}).status_code == 200
    assert create(http, headers={"X-Sandbox-Fault": "status_after=507"}).status_code == 507
    assert create(http, headers={"X-Sandbox-Fault": "send_email:hang"}).status_code == 200
    assert create(http).status_code == 503
    wrong = create(http, headers={"X-Sandbox-Fault": "nonsense"})
    assert (wrong.status_code, wrong.json()["error"]) == (400, "bad_fault")


def test_spec_and_rules_replace_each_their_own(http: httpx.Client) -> None:
    set_faults(http, {"spec": "hang@0.5", "seed": 3, "rules": [{"kind": "garbage"}]})
    set_faults(http, {"spec": "drip=1,seed=4"})
    shown = http.get("/faults").json()
    assert (shown["spec"], shown["seed"]) == ("drip=1", 4)
    assert [rule["kind"] for rule in shown["rules"]] == ["garbage"]
    set_faults(http, {"rules": []})
    assert http.get("/faults").json()["spec"] == "drip=1"
    http.delete("/faults")
    assert http.get("/faults").json()["spec"] == ""


@pytest.mark.parametrize(
    "said", ["nonsense", {"spec": "nonsense"}, {"rules": [{"kind": "x"}]}, {"rule": []}, [], {"seed": "x"}, {}]
)
def test_a_mistake_changes_nothing(http: httpx.Client, said: Any) -> None:
    set_faults(http, "drip=1")
    answer = http.post("/faults", json=said)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_faults")
    assert http.get("/faults").json()["spec"] == "drip=1"


def test_a_reset_drops_what_is_still_under_way(http: httpx.Client, sandbox: SandboxProcess) -> None:
    set_faults(http, "accept_202=0.3*1")
    create(http)
    sandbox.post("/reset")
    set_faults(http, "accept_202=0.6*1")
    create(http)
    wait_until(lambda: effects(http), what="the effect after the reset")
    assert effects(http) == 1


@pytest.mark.parametrize("fault", ["latency=3000", "late=3000", "latency_after=3000"])
def test_a_reset_hangs_up_on_those_who_wait(http: httpx.Client, sandbox: SandboxProcess, fault: str) -> None:
    set_faults(http, fault)
    ended: list[type[Exception]] = []
    waiting = threading.Thread(target=lambda: ended.append(_error_of(sandbox.url)))
    waiting.start()
    wait_until(lambda: last_request(http)["answer"] == "open", what="the request's arrival")
    sandbox.post("/reset")
    waiting.join()
    assert ended == [httpx.RemoteProtocolError]
    assert (effects(http), http.get("/requests").json()) == (0, [])


def _error_of(url: str) -> type[Exception]:
    with pytest.raises(httpx.TransportError) as caught:
        httpx.post(f"{url}/tools/create_ticket", json=TICKET, timeout=60)
    return caught.type


def test_forgetting_the_audit_leaves_the_faults(http: httpx.Client) -> None:
    first = create(http).json()["ticket_id"]
    set_faults(http, "no_content")
    http.delete("/audit")
    assert (http.get("/audit").json(), http.get("/requests").json()) == ([], [])
    assert http.get("/tickets?external_ref=ek_1").json()["tickets"] == []
    http.delete("/faults")
    again = create(http).json()["ticket_id"]
    assert again.split("-")[1] != first.split("-")[1], "ids of two trails must differ"
    assert len(http.get("/tickets?external_ref=ek_1").json()["tickets"]) == 1


def test_hanging_clients_do_not_keep_others_from_being_served(http: httpx.Client) -> None:
    set_faults(http, "send_email:hang")
    impatient = [threading.Thread(target=_try_mail, args=(str(http.base_url),), daemon=True) for _ in range(30)]
    for thread in impatient:
        thread.start()
    assert create(http).status_code == 200
    for thread in impatient:
        thread.join()


def _try_mail(url: str) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{url}/tools/send_email", json={"to": "a@b", "subject": "A"}, timeout=1)
