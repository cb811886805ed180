"""From a 202 to the event that settles it: worker, web process and outside world, and what gets lost between them."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.agents import Agents, catalog_text
from tests.support.ledger import Trace, asks, call, says
from tests.support.processes import Processes, free_port, wait_until
from tests.support.sandbox_process import start_sandbox

SECRET = "whsec_" + base64.b64encode(b"what the sandbox signs with").decode()
PATIENT = {"completion_s": 20, "settle_s": 0.3, "event_secret": SECRET}
SHORT = {**PATIENT, "completion_s": 0.2}


class Site(Agents):
    """Agents whose outside world tells a web process of what it finished; the catalog is fixed before they start."""

    def start(self, **tools: dict[str, Any]) -> None:
        """Web and worker with a catalog in which these tools may answer 202."""
        (self.folder / "counterfoil.toml").write_text(catalog_text(self.sandbox.url, **tools))
        self.processes.start_web(self.dsn, PORT=self.port)
        self.start_worker()

    port: int = 0


@pytest.fixture
def site(database: str, tmp_path: Path, processes: Processes) -> Iterator[Site]:
    port = free_port()
    events = (f"http://127.0.0.1:{port}/v1/tool_events", SECRET)
    with start_sandbox(tmp_path / "sandbox", events=events) as sandbox:
        site = Site(database, tmp_path, sandbox, processes)
        site.port = port
        yield site
        site.book.close()


def ticket(title: str = "Lift stuck") -> dict[str, Any]:
    return call("create_ticket", title=title)


@pytest.mark.parametrize("faults", ["accept_202=0.3", "accept_202=0,event_first", "accept_202=0.1,event_twice"])
def test_an_event_settles_what_a_202_left_open(site: Site, faults: str) -> None:
    site.set_faults(f"create_ticket:{faults.replace(',', ',create_ticket:')}")
    site.start(create_ticket=PATIENT)
    run = site.book.new_run(asks(ticket()), says())
    site.book.await_run(run, "completed")
    assert site.book.traces(run) == [Trace("succeeded", ("succeeded",))]
    [effect] = site.effects(run)
    assert site.book.output(run)["ticket_id"] == effect["ticket_id"]
    assert ("event", "happened") in site.book.evidence(run)
    assert site.book.calls(run)[0].conflict_at is None


def test_events_in_another_order_than_their_calls(site: Site) -> None:
    site.sandbox.post(
        "/faults",
        {
            "spec": "create_ticket:accept_202=0",
            "rules": [{"kind": "event_delay", "value": 1, "match": {"title": "first"}, "tool": "create_ticket"}],
        },
    )
    site.start(create_ticket=PATIENT)
    run = site.book.new_run(asks(ticket("first"), ticket("second")), says())
    site.book.await_run(run, "completed")
    numbers = [c.index for c in sorted(site.book.calls(run), key=lambda one: one.settled_at)]
    assert numbers == [1, 0]
    outputs = [site.book.output(run, index)["ticket_id"] for index in (0, 1)]
    assert outputs == [effect["ticket_id"] for effect in site.effects(run)]


def test_a_lost_event_is_looked_up(site: Site) -> None:
    site.set_faults("create_ticket:accept_202=0.1,create_ticket:event_lost")
    site.start(create_ticket=SHORT)
    run = site.book.new_run(asks(ticket()), says())
    site.book.await_run(run, "completed")
    assert [kind for kind, _ in site.book.evidence(run)] == ["reply", "lookup"]
    assert len(site.effects(run)) == 1


def test_a_lost_event_of_what_cannot_be_looked_up_is_an_operators(site: Site) -> None:
    site.set_faults("send_email:accept_202=0.1,send_email:event_lost")
    site.start(send_email=SHORT)
    run = site.book.new_run(asks(call("send_email", to="a@example.com", subject="x")), says())
    site.book.await_call(run, "needs_operator")
    assert len(site.effects(run, "send_email")) == 1


def test_an_event_that_comes_after_the_doubt_settles_it_all_the_same(site: Site) -> None:
    site.set_faults("send_email:accept_202=0,send_email:event_delay=4")
    site.start(send_email=SHORT)
    run = site.book.new_run(asks(call("send_email", to="a@example.com", subject="x")), says())
    site.book.await_call(run, "needs_operator")
    site.book.await_run(run, "completed")
    assert site.book.traces(run) == [Trace("succeeded", ("succeeded",))]


@pytest.mark.parametrize("named", [True, False])
def test_a_failure_is_told_to_the_model(site: Site, named: bool) -> None:
    unnamed = "" if named else ",send_email:event_unnamed"
    site.set_faults(f"send_email:accept_202=0.1,send_email:event_failed{unnamed}")
    site.start(send_email=PATIENT)
    run = site.book.new_run(asks(call("send_email", to="a@example.com", subject="x")), says())
    site.book.await_run(run, "completed")
    assert site.book.traces(run) == [Trace("failed", ("failed",))]
    assert site.book.output(run)["error"]["code"] == "failed"
    assert site.effects(run, "send_email") == []


def test_the_web_process_is_away_when_the_event_comes(site: Site) -> None:
    site.set_faults("create_ticket:accept_202=0.1")
    site.start(create_ticket=PATIENT)
    web = site.processes.started[0]
    web.stop()
    run = site.book.new_run(asks(ticket()), says())
    wait_until(lambda: site.effects(run), what="the effect")
    site.processes.start_web(site.dsn, PORT=site.port)
    site.book.await_run(run, "completed")
    assert site.book.traces(run) == [Trace("succeeded", ("succeeded",))]
