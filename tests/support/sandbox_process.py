"""Start the sandbox as a real process, for any test that needs an outside world."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A running sandbox: its address, its process, its home; as a context manager it is killed at the end."""

    url: str
    pid: int
    home: Path
    process: subprocess.Popen[bytes]

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def kill(self) -> None:
        """End it by SIGKILL; nothing happens when it is dead already."""
        self.process.kill()
        self.process.wait(30)

    def get(self, path: str) -> Any:
        """GET a JSON answer, as in `sandbox.get("/audit/tickets")`; raises HTTPError."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: Any = None) -> Any:
        """POST JSON, as in `sandbox.post("/faults", {"spec": "answer_lost"})`; raises HTTPError."""
        return self._ask("POST", path, json.dumps(body).encode())

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def __enter__(self) -> "SandboxProcess":
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill it."""
        self.kill()


def start_sandbox(
    home: Path, *, port: int = 0, faults: str = "", wait_s: float = 60, events: tuple[str, str] | None = None
) -> SandboxProcess:
    """Start `python -m sandbox` under `home` and return when it answers; RuntimeError (its log) if it dies.

    Port 0 takes a free one. Its log goes to `sandbox.log` in the home. events: where completions go, and the secret.
    """
    home.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sandbox", "--home", str(home), "--port", str(port), "--faults", faults]
    if events is not None:
        command += ["--event-url", events[0], "--event-secret", events[1]]
    with (home / "sandbox.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL, env=os.environ)
    until = time.monotonic() + wait_s
    while process.poll() is None and time.monotonic() < until:
        facts = _announced(home)
        if facts.get("pid") == process.pid:
            return SandboxProcess(str(facts["url"]), process.pid, home, process)
        time.sleep(0.01)
    process.kill()
    process.wait()
    raise RuntimeError(f"the sandbox did not start:\n{(home / 'sandbox.log').read_text()}")


def _announced(home: Path) -> dict[str, Any]:
    try:
        found = json.loads((home / "sandbox.json").read_text())
    except FileNotFoundError:
        return {}
    return dict(found)
