"""The product's own log lines explain the founding incident, played again with the ledger off."""

import json
from pathlib import Path

from tests.support.agents import Agents
from tests.support.ledger import asks, call, says


def test_the_investigator_reads_what_workers_wrote(agents: Agents, tmp_path: Path) -> None:
    agents.set_catalog(create_ticket={"timeout_s": 10})
    agents.set_faults("latency_after=2")
    first = agents.start_worker()
    run = agents.book.new_run(asks(call("create_ticket", title="The lift")), says(), ledger="off")
    agents.book.await_that(lambda: len(agents.effects(run)) == 1, run)
    first.kill()
    second = agents.start_worker()
    agents.book.await_run(run, "completed")
    assert len(agents.effects(run)) == 2
    assert second.stop() == 0
    audit = tmp_path / "audit.json"
    audit.write_text(json.dumps(agents.effects(run)))
    logs = [option for worker in (first, second) for option in ("--coordinator", str(worker.log))]
    found = agents.processes.counterfoil("investigate", *logs, "--audit", str(audit), "--format", "json")
    assert found.returncode == 1, found.stderr
    report = json.loads(found.stdout)
    [duplicate] = report["duplicates"]
    assert duplicate["cause"] == "redispatch"
    assert duplicate["run_ids"] == [run]
    assert sorted(duplicate["effects"]) == sorted(effect["ticket_id"] for effect in agents.effects(run))
    assert all(source["unread"] == 0 for source in report["sources"])


def test_every_line_about_a_call_says_which(agents: Agents) -> None:
    worker = agents.start_worker()
    run = agents.book.new_run(asks(call("create_ticket", title="T")), says())
    agents.book.await_run(run, "completed")
    assert worker.stop() == 0
    lines = [json.loads(line) for line in worker.log_text().splitlines()]
    [asked] = agents.book.calls(run)
    about = [line for line in lines if line.get("tool_call") == asked.tool_call_id]
    words = ["dispatch_tool", "tool_request", "normalize_ok", "submit_tool_outputs"]
    assert [line["event"] for line in about] == words
    for line in about:
        assert line["run"] == run
        assert line["attempt"] == 1
        assert {"thread", "correlation", "tool", "timestamp"} <= line.keys()
    statuses = [line["status"] for line in lines if line["event"] == "run_status"]
    assert statuses == ["in_progress", "requires_action", "completed"]
    assert all(line["epoch"] == 1 for line in lines if line["event"] == "run_status")
