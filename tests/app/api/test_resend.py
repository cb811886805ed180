"""Requests that come again, as clients send them after a lost answer."""

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import openai
import psycopg
import pytest

from app.api.resend import Asked
from sql.execute import execute
from sql.requests import forget_requests
from tests.app.api.conftest import Ask, Site, made, refused
from tests.support.processes import wait_until

AGAIN = {"x-stainless-retry-count": "1"}
THIRD = {"x-stainless-retry-count": "2"}


def test_a_resent_run_is_the_same_run(http: httpx.Client, assistant: str, thread: str) -> None:
    body = {"assistant_id": assistant, "metadata": {"case": thread}}
    run = made(http.post(f"/threads/{thread}/runs", json=body))
    assert made(http.post(f"/threads/{thread}/runs", json=body, headers=AGAIN)) == run
    cancelled = made(http.post(f"/threads/{thread}/runs/{run['id']}/cancel"))
    assert made(http.post(f"/threads/{thread}/runs", json=body, headers=THIRD)) == cancelled
    refused_count = http.post(f"/threads/{thread}/runs", json=body, headers=THIRD)
    assert made(refused_count)["id"] != run["id"], "its second try was answered, so this is another request"


def test_the_same_again_without_a_count_is_a_new_one(http: httpx.Client, assistant: str) -> None:
    body = {"assistant_id": assistant, "metadata": {"case": "twice on purpose"}}
    one, two = (made(http.post("/threads/runs", json=body)) for _ in range(2))
    assert one["id"] != two["id"]
    assert made(http.post("/threads/runs", json=body, headers=AGAIN))["id"] == two["id"]
    assert made(http.post("/threads/runs", json=body, headers=AGAIN))["id"] == one["id"]
    assert made(http.post("/threads/runs", json=body, headers=AGAIN))["id"] not in {one["id"], two["id"]}


def test_a_count_without_a_first_try_makes_a_new_one(http: httpx.Client, assistant: str) -> None:
    body = {"assistant_id": assistant, "metadata": {"case": "first was lost"}}
    run = made(http.post("/threads/runs", json=body, headers=AGAIN))
    assert made(http.post("/threads/runs", json=body, headers=THIRD))["id"] == run["id"]


def test_other_bytes_are_another_request(http: httpx.Client, assistant: str, site: Site) -> None:
    run = made(http.post("/threads/runs", json={"assistant_id": assistant, "metadata": {"n": "1"}}))
    other = made(http.post("/threads/runs", json={"assistant_id": assistant, "metadata": {"n": "2"}}, headers=AGAIN))
    assert other["id"] != run["id"]


def test_a_run_that_is_not_the_newest_is_not_found_again(http: httpx.Client, assistant: str, thread: str) -> None:
    path, body = f"/threads/{thread}/runs", {"assistant_id": assistant}
    one = made(http.post(path, json=body))
    made(http.post(f"{path}/{one['id']}/cancel"))
    made(http.post(f"/threads/{thread}/messages", json={"role": "user", "content": "since"}))
    two = made(http.post(path, json=body, headers=AGAIN))
    assert two["id"] != one["id"]


def test_a_resent_message_is_the_same_while_it_is_the_newest(http: httpx.Client, thread: str) -> None:
    path, body = f"/threads/{thread}/messages", {"role": "user", "content": "x"}
    one = made(http.post(path, json=body))
    assert made(http.post(path, json=body, headers=AGAIN)) == one
    two = made(http.post(path, json=body))
    assert two["id"] != one["id"]
    made(http.post(path, json={"role": "user", "content": "later"}))
    assert made(http.post(path, json=body, headers=AGAIN))["id"] not in {one["id"], two["id"]}


def test_what_was_deleted_is_not_the_answer_to_its_resend(http: httpx.Client, thread: str) -> None:
    path, body = f"/threads/{thread}/messages", {"role": "user", "content": "deleted"}
    one = made(http.post(path, json=body))
    made(http.delete(f"{path}/{one['id']}"))
    assert made(http.post(path, json=body, headers=AGAIN))["id"] != one["id"]
    assistant = made(http.post("/assistants", json={"model": "m", "name": "deleted assistant"}))
    made(http.delete(f"/assistants/{assistant['id']}"))
    again = http.post("/assistants", json={"model": "m", "name": "deleted assistant"}, headers=AGAIN)
    assert assistant["id"] in refused(again, 404)["message"]


def test_a_path_that_is_not_there_comes_before_a_wrong_key(http: httpx.Client, assistant: str) -> None:
    body = {"assistant_id": assistant}
    made(http.post("/threads/runs", json=body, headers={"Idempotency-Key": "used elsewhere"}))
    for key in ("k" * 256, "used elsewhere"):
        answer = http.post("/threads/thread_none/runs", json=body, headers={"Idempotency-Key": key})
        assert refused(answer, 404)["message"] == "No thread found with id 'thread_none'."


def test_threads_and_assistants_too(http: httpx.Client) -> None:
    for path, body in (
        ("/threads", {"metadata": {"case": "resent thread"}}),
        ("/assistants", {"model": "m", "name": "resent assistant"}),
    ):
        one = made(http.post(path, json=body))
        assert made(http.post(path, json=body, headers=AGAIN)) == one
        assert made(http.post(path, json=body))["id"] != one["id"]


def test_another_project_is_another_request(http: httpx.Client, site: Site) -> None:
    body = {"metadata": {"case": "of one project"}}
    one = made(http.post("/threads", json=body))
    other = site.http(site.new_key("other project"))
    assert made(other.post("/threads", json=body, headers=AGAIN))["id"] != one["id"]


def test_nothing_older_than_15_minutes_counts(http: httpx.Client, rows: psycopg.Connection) -> None:
    body = {"metadata": {"case": "long ago"}}
    one = made(http.post("/threads", json=body))
    rows.execute(
        "update counterfoil.api_requests set created_at = created_at - interval '16 minutes' where object_id = %s",
        (one["id"],),
    )
    assert made(http.post("/threads", json=body, headers=AGAIN))["id"] != one["id"]


def test_a_resend_waits_for_the_first_try(site: Site, http: httpx.Client, assistant: str, thread: str) -> None:
    """The first try is held up by the thread's lock; its resend comes meanwhile, and both get the same run."""
    body = {"assistant_id": assistant}
    with psycopg.connect(site.dsn) as blocker, ThreadPoolExecutor(2) as pool:
        blocker.execute("select from counterfoil.threads where id = %s for no key update", (thread,))
        first = pool.submit(http.post, f"/threads/{thread}/runs", json=body)
        holds = "select count(*) > 0 from pg_locks where locktype = 'advisory' and granted"
        with psycopg.connect(site.dsn, autocommit=True) as watcher:
            wait_until(lambda: watcher.execute(holds).fetchone() == (True,), what="the first to hold its lock")
        second = pool.submit(site.http().post, f"/threads/{thread}/runs", json=body, headers=AGAIN)
        blocker.rollback()
        assert made(first.result())["id"] == made(second.result())["id"]


def test_a_key_gives_the_same_object(http: httpx.Client, assistant: str) -> None:
    key = {"Idempotency-Key": "key of a run"}
    body = {"assistant_id": assistant}
    answer = http.post("/threads/runs", json=body, headers=key)
    run = made(answer)
    assert "idempotent-replayed" not in answer.headers
    made(http.post(f"/threads/{run['thread_id']}/runs/{run['id']}/cancel"))
    answer = http.post("/threads/runs", json=body, headers=key)
    assert (made(answer)["id"], made(answer)["status"]) == (run["id"], "cancelled")
    assert answer.headers["idempotent-replayed"] == "true"
    error = refused(http.post("/threads/runs", json=body | {"metadata": {"a": "b"}}, headers=key))
    assert error["code"] == "idempotency_key_reused"


def test_a_key_works_on_every_post(http: httpx.Client, assistant: str, thread: str, asking: Ask) -> None:
    run = made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}))["id"]
    asking(run, "call_a")
    message = made(http.post("/threads", json={"messages": [{"role": "user", "content": "x"}]}))["id"]
    for path, body in (
        ("/assistants", {"model": "m"}),
        (f"/assistants/{assistant}", {"metadata": {"a": "b"}}),
        ("/threads", {}),
        (f"/threads/{thread}", {"metadata": {"a": "b"}}),
        (f"/threads/{message}/messages", {"role": "user", "content": "x"}),
        (f"/threads/{thread}/runs/{run}", {"metadata": {"a": "b"}}),
        (f"/threads/{thread}/runs/{run}/submit_tool_outputs", {"tool_outputs": [{"tool_call_id": "call_a"}]}),
        (f"/threads/{thread}/runs/{run}/cancel", {}),
    ):
        key = {"Idempotency-Key": f"key of {path}"}
        one = made(http.post(path, json=body, headers=key))
        again = http.post(path, json=body, headers=key)
        assert made(again)["id"] == one["id"]
        assert again.headers["idempotent-replayed"] == "true"


def test_a_key_of_a_failed_request_is_not_remembered(http: httpx.Client, assistant: str, thread: str) -> None:
    key = {"Idempotency-Key": "failed first"}
    refused(http.post(f"/threads/{thread}/runs", json={"assistant_id": "asst_0"}, headers=key), 404)
    made(http.post(f"/threads/{thread}/runs", json={"assistant_id": assistant}, headers=key))


def test_keys_have_at_most_255_characters_and_belong_to_a_project(http: httpx.Client, site: Site) -> None:
    refused(http.post("/threads", json={}, headers={"Idempotency-Key": "k" * 256}))
    key = {"Idempotency-Key": "k" * 255}
    one = made(http.post("/threads", json={}, headers=key))
    other = site.http(site.new_key("key of another"))
    assert made(other.post("/threads", json={}, headers=key))["id"] != one["id"]


def test_many_with_one_key_at_once_make_one(site: Site) -> None:
    together = threading.Barrier(10)

    def create(_: int) -> str:
        own = site.http()
        together.wait()
        answer = own.post("/threads", json={}, headers={"Idempotency-Key": "ten at once"})
        return str(made(answer)["id"])

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(create, range(10)))) == 1


def test_a_key_that_is_being_processed_is_409(site: Site, http: httpx.Client, rows: psycopg.Connection) -> None:
    key = {"Idempotency-Key": "held up"}
    project = rows.execute("select id from counterfoil.projects where name = 'tests'").fetchone()
    assert project is not None
    number = Asked("threads.create", project[0], b"", 0, "held up", counted=True).lock
    with psycopg.connect(site.dsn) as first:
        first.execute("select pg_advisory_xact_lock(%s)", (number,))
        answer = http.post("/threads", json={}, headers=key)
        assert refused(answer, 409)["code"] == "idempotency_in_progress"
        assert answer.headers["retry-after-ms"] == "250"
    made(http.post("/threads", json={}, headers=key))


def test_old_requests_are_forgotten(http: httpx.Client, rows: psycopg.Connection) -> None:
    rows.execute(
        "insert into counterfoil.api_requests (project_id, endpoint, fingerprint, object_id, created_at)"
        " select 'p', 'e', 'f', 'o', now() - interval '2 days' from generate_series(1, 100)"
    )
    execute(rows, forget_requests(60))
    old = "select count(*) from counterfoil.api_requests where created_at < now() - interval '1 day'"
    assert rows.execute(old).fetchone() == (40,)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_client_resends_by_itself(site: Site, assistant: str) -> None:
    """A proxy loses the first answer: the official client sends again, and there is one run."""
    lost = []

    class LosesFirst(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            response = super().handle_request(request)
            if not lost:
                lost.append(response.read())
                raise httpx.ReadError("the answer was lost")
            return response

    http_client = httpx.Client(transport=LosesFirst())
    client = openai.OpenAI(base_url=f"{site.url}/v1", api_key=site.key, http_client=http_client)
    run = client.beta.threads.create_and_run(assistant_id=assistant, metadata={"case": "lost answer"})
    assert run.id.encode() in lost[0]
    client.close()


def test_an_empty_thread_is_never_somebody_elses(http: httpx.Client) -> None:
    """Two clients that ask for a thread at once, one answer lost: the resend must not get the other's."""
    one = made(http.post("/threads", json={}))
    assert made(http.post("/threads", json={}, headers=AGAIN))["id"] != one["id"]
