"""Log lines: one JSON object each, the same form from everywhere, no rows of the database in them."""

import json
import subprocess
import sys

from tests.support.processes import ROOT

SCRIPT = """
import logging
from app import logs
logs.configure("worker")
logs.get_logger(run_id="run_1").info("claimed", epoch=3)
logging.getLogger("some.library").warning("it says %s", "something")
try:
    raise ValueError("duplicate key\\nDETAIL:  Key (word)=(hunter2) already exists.")
except ValueError:
    logs.get_logger().exception("failed")
"""


def test_every_line_has_the_same_form() -> None:
    run = subprocess.run([sys.executable, "-c", SCRIPT], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == ""
    claimed, library, failed = [json.loads(line) for line in run.stderr.splitlines()]
    for line in (claimed, library, failed):
        assert list(line)[:4] == ["timestamp", "level", "service", "event"]
        assert line["service"] == "worker"
        assert line["timestamp"].endswith("Z")
    assert (claimed["event"], claimed["run_id"], claimed["epoch"]) == ("claimed", "run_1", 3)
    assert (library["event"], library["level"]) == ("it says something", "warning")
    assert "ValueError" in failed["exception"]
    assert "duplicate key" not in failed["exception"], "a message may quote anything"
    assert "hunter2" not in run.stderr
