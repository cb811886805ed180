"""What starts and ends parts: Ctrl-C at its worst moment."""

import subprocess
import sys
from pathlib import Path

from tests.support.processes import ROOT

AMID_A_FORK = """
import os, signal, sys
from pathlib import Path
from app.cli.supervisor import Part, Supervisor
os.register_at_fork(after_in_parent=lambda: (os.kill(os.getpid(), signal.SIGINT), len("here it is delivered")))
part = Part("part", [sys.executable, "-c", "import time; time.sleep(600)"], dict(os.environ), Path(sys.argv[1]), bool)
with Supervisor() as parts:
    try:
        parts.start(part)
    except KeyboardInterrupt:
        print("heard", parts.parts == [part])
print("left", part.running, part.popen.returncode)
"""


def test_ctrl_c_amid_a_fork_is_neither_lost_nor_leaves_the_part_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", AMID_A_FORK, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert (done.stdout, done.stderr) == ("heard True\nleft False -15\n", "")
