"""Pages: what they find, how they page, what they say when there is nothing, too much, or no database."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from sql.embedded import EmbeddedPostgres
from sql.execute import execute
from sql.users import insert_user
from tests.app.console.conftest import HASH, Site, Visitor
from tests.support.processes import Processes

ROOT = Path(__file__).resolve().parents[3]
INCIDENT = {
    "coordinator": "2026-03-12T10:16:02.118Z coordinator INFO  thread=thr_8f2 run=run_4c1 corr=cr_91a create_run\n"
    "2026-03-12T10:16:05.233Z coordinator INFO  thread=thr_8f2 run=run_4c1 corr=cr_91a dispatch_tool"
    " name=create_ticket tool_call_id=call_A1\n",
    "gateway": "10:16:05.410Z POST /tools/create_ticket 200 2.1s\n  x-corr-id=cr_91a  x-run-id=run_4c1"
    "  x-thread-id=thr_8f2\n  body_hash=9b3f...  tool_call_id=call_A1\n\n10:16:07.982Z POST /tools/create_ticket 200"
    " 1.9s\n  x-corr-id=cr_91a  x-run-id=run_4c1  x-thread-id=thr_8f2\n  body_hash=9b3f...  tool_call_id=call_A1\n",
    "audit": json.dumps(
        [
            {
                "event": "ticket.created",
                "ticket_id": f"TCK-77420{n}",
                "created_at": f"2026-03-12T10:16:0{t}Z",
                "request_fingerprint": "9b3f...",
            }
            for n, t in ((1, "7.531"), (2, "9.104"))
        ]
    ),
}


@pytest.mark.parametrize("what", ["run_id", "call_id"])
def test_the_box_finds_by_ids(site: Site, olive: Visitor, what: str) -> None:
    story = site.load("conflict")
    found = olive.get("/search", params={"q": getattr(story, what)})
    assert found.status_code == 302
    assert story.run_id in found.headers["location"]


def test_the_box_finds_by_what_outside_systems_say(site: Site, olive: Visitor) -> None:
    story = site.load("conflict")
    key, fingerprint, external = site.rows(
        "select effect_key, fingerprint, external_id from counterfoil.tool_calls where run_id = %s", story.run_id
    )[0]
    for q in (key, fingerprint, f"{fingerprint}...", external):
        assert olive.get("/search", params={"q": q}).headers["location"].endswith(story.call)
    assert "No match" in olive.get("/search", params={"q": "TCK-nothing"}).text


def test_runs_page_by_key_and_keep_the_filter(new_site: Callable[..., Site]) -> None:
    fresh = new_site()
    stories = [fresh.load("stuck_client_call") for _ in range(52)]
    visitor = fresh.visitor("vera")
    first = visitor.get("/runs?status=requires_action")
    older = re.search(r'rel="next" href="([^"]+)"', first.text)
    assert older
    second = visitor.get(older[1].replace("&amp;", "&").removeprefix("/console"))
    shown = re.findall(r'href="/console/runs/(run_\w+)"', first.text + second.text)
    assert sorted(shown) == sorted(story.run_id for story in stories)
    assert "status=requires_action" in str(second.url)
    assert "No match" in visitor.get("/runs?status=completed").text
    assert "There is no status" in visitor.get("/runs?status=wrong").text


def test_viewers_see_no_forms(site: Site) -> None:
    story = site.load("in_doubt_never")
    vera = site.visitor("vera")
    assert "Act on the run" not in vera.get(story.run).text
    assert "Your role is viewer" in vera.get(story.call).text


def test_an_incident_is_explained(olive: Visitor) -> None:
    files = {name: (f"{name}.log", text) for name, text in INCIDENT.items()}
    page = olive.post("/incidents", data={"csrf_token": olive.token("/system")}, files=files).text
    assert "TCK-774201 and TCK-774202" in page
    assert "redispatch" in page or "gateway retry" in page
    assert 'download="incident.html"' in page
    assert "counterfoil-incident-" not in page, "no path of this machine"


def test_an_incident_without_files_is_refused(olive: Visitor) -> None:
    assert olive.submit("/incidents").status_code == 422


def test_the_ledger_explains_itself(site: Site, olive: Visitor) -> None:
    site.load("conflict")
    page = olive.submit("/incidents", {"own": "1", "since": "1h"})
    assert page.status_code == 200


def test_a_changed_audit_trail_is_told(new_site: Callable[..., Site]) -> None:
    fresh = new_site()
    visitor = fresh.visitor("olive")
    fresh.rows("insert into counterfoil.tools (name) values ('send_email')")
    visitor.submit("/tools/send_email/pause", {"reason": "a flood"})
    assert "as written" in visitor.get("/audit").text
    fresh.rows(
        "alter table counterfoil.audit disable trigger user; update counterfoil.audit set reason = 'another';"
        " alter table counterfoil.audit enable trigger user"
    )
    assert "chain is broken at entry 1" in visitor.get("/audit").text


def test_a_slow_database_is_no_empty_list(site: Site, olive: Visitor) -> None:
    with psycopg.connect(site.dsn) as connection:
        connection.execute("lock table counterfoil.runs in access exclusive mode")
        texts = [olive.get("/runs").text for _ in range(6)]
        connection.rollback()
    assert all("Query timed out" in text for text in texts)
    assert all("No runs yet" not in text for text in texts)
    for _ in range(30):  # on every connection of the pool: none is left spoilt by a pipeline that broke off
        assert olive.get("/runs").status_code == 200


def test_without_a_database_pages_say_so(own_server: EmbeddedPostgres, processes: Processes) -> None:
    with psycopg.connect(own_server.dsn(), autocommit=True) as connection:
        execute(connection, insert_user(name="olive", role="operator", password_hash=HASH))
    site = Site(processes.start_web(own_server.dsn()), own_server.dsn())
    visitor = site.visitor("olive")
    own_server.stop()
    page = visitor.get("/attention")
    assert page.status_code == 503
    assert "Database not reachable" in page.text
    visitor.close()


@pytest.mark.parametrize("name", ["htmx", "idiomorph", "pico"])
def test_vendored_files_come_with_their_licence(name: str) -> None:
    folder = ROOT / "app" / "console" / "static" / "vendor"
    assert (folder / f"{name}-LICENSE.txt").read_text(encoding="utf-8")
    assert any(re.fullmatch(rf"{name}(-ext)?-\d+\.\d+\.\d+\.min\.(js|css)", file.name) for file in folder.iterdir())
