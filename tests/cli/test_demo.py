"""`counterfoil demo`: the same outcome every time, and nothing left running, whatever ends it."""

import json
import signal
import tomllib
from pathlib import Path

import psutil
import pytest

from app.demo.stage import CATALOG
from tests.support.processes import ROOT, Process, Processes, wait_until


@pytest.fixture
def folder(open_folder: Path) -> Path:
    """A temporary folder that the demo's Postgres may enter."""
    return open_folder


def start_demo(processes: Processes, folder: Path, *options: str) -> Process:
    """The demo, with all that it makes in the folder."""
    return processes.start("demo", "-P", "-m", "app.cli", "demo", *options, TMPDIR=folder, PYTHONPATH=ROOT)


def of_demo(folder: Path) -> list[psutil.Process]:
    """Processes that work in the folder, or were given it."""
    found = []
    for process in psutil.process_iter(["cwd", "environ"]):
        places = [process.info["cwd"] or "", (process.info["environ"] or {}).get("COUNTERFOIL_HOME", "")]
        if any(place.startswith(f"{folder}/counterfoil-demo-") for place in places):
            found.append(process)
    return found


def test_two_tickets_as_it_was_and_one_with_the_ledger(processes: Processes, folder: Path) -> None:
    demo = start_demo(processes, folder, "--json")
    assert demo.wait(limit_s=120) == 0, demo.log_text()
    told = json.loads(demo.log_text().splitlines()[-1])
    assert told["as_expected"]
    assert told["seconds"] < 60 * 2, "twice what is promised: other tests may keep the machine busy"
    for mode, number in (("off", 2), ("enforce", 1)):
        assert told[mode]["status"] == "completed"
        assert len(told[mode]["tickets"]) == len(set(told[mode]["tickets"])) == number
        assert told[mode]["answers"] == ["I have opened a ticket."]
    assert told["off"]["attempts"] == [], "the old way writes no intent"
    assert [a["state"] for a in told["enforce"]["attempts"]] == ["succeeded"]
    assert told["enforce"]["evidence"] == [
        {"kind": "lookup", "says": "found", "external_id": told["enforce"]["tickets"][0]}
    ]
    assert told["enforce"]["call"] == {"state": "succeeded", "settled_by": "lookup"}
    assert not of_demo(folder)
    assert not list(folder.glob("counterfoil-demo-*"))
    assert_explained(processes, Path(told["traces"]))


def assert_explained(processes: Processes, traces: Path) -> None:
    """The investigator finds in the logs that it left what the demo did, and nothing in those of the ledger."""
    for mode, code in (("off", 1), ("enforce", 0)):
        sources = [
            f"--{source}={traces / mode / file}"
            for source, file in (
                ("coordinator", "coordinator.log"),
                ("gateway", "gateway.log"),
                ("audit", "audit.json"),
            )
        ]
        result = processes.counterfoil("investigate", *sources, "--format", "json")
        assert result.returncode == code, result.stderr
        causes = [duplicate["cause"] for duplicate in json.loads(result.stdout)["duplicates"]]
        assert causes == ["redispatch"] * (mode == "off")


def test_ctrl_c_leaves_nothing(processes: Processes, folder: Path) -> None:
    demo = start_demo(processes, folder)
    demo.await_ready(lambda: "kill -9" in demo.log_text(), "the first kill")
    assert of_demo(folder)
    demo.popen.send_signal(signal.SIGINT)
    assert demo.wait() == 130, demo.log_text()
    wait_until(lambda: not of_demo(folder), what="the end of all that it started")
    assert not list(folder.glob("counterfoil-demo-*"))
    assert "Traceback" not in demo.log_text()


def test_its_catalog_is_the_one_that_start_serves_but_for_two_times() -> None:
    served = tomllib.loads((ROOT / "counterfoil.toml").read_text())["tools"]["create_ticket"]
    played = tomllib.loads(CATALOG)["tools"]["create_ticket"]
    for tool in (served, played):
        tool["url"] = tool["url"].rpartition("}/")[2]
        tool["lookup"]["url"] = tool["lookup"]["url"].partition("}/")[2]
        del tool["timeout_s"], tool["settle_s"]
    assert played == served
