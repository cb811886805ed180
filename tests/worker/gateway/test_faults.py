"""Fault points: nothing when unset, a signal at the Nth hit when set, a clear error when misspelt."""

import os
import signal
import subprocess
import sys

import pytest

CODE = """
from worker import faults
for _ in range(2):
    faults.point("a")
print("alive", flush=True)
faults.point("b")
"""


def run(spec):
    environ = {name: value for name, value in os.environ.items() if name != "COUNTERFOIL_FAULT"}
    return subprocess.run(
        [sys.executable, "-c", CODE],
        env=environ | ({"COUNTERFOIL_FAULT": spec} if spec else {}),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("spec", ["", "c", "a:3"])
def test_what_is_not_hit_does_nothing(spec):
    assert (run(spec).returncode, run(spec).stdout) == (0, "alive\n")


@pytest.mark.parametrize(("spec", "printed"), [("a", ""), ("a:2", ""), ("b", "alive\n"), ("b:1:kill", "alive\n")])
def test_it_kills_at_the_nth_hit(spec, printed):
    done = run(spec)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, printed)


def test_it_stops_and_goes_on():
    process = subprocess.Popen(
        [sys.executable, "-c", CODE], env=os.environ | {"COUNTERFOIL_FAULT": "a:2:stop"}, stdout=subprocess.PIPE
    )
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    process.send_signal(signal.SIGCONT)
    assert process.communicate(timeout=20)[0] == b"alive\n"


@pytest.mark.parametrize("spec", [":1", "a:x", "a:0", "a:1:nap", "a:1:stop:b"])
def test_a_misspelt_spec_is_told(spec):
    done = run(spec)
    assert done.returncode == 1
    assert "ValueError" in done.stderr
