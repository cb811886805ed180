"""How fast the investigator reads: `python tests/bench/bench_investigate.py [gateway lines] [seconds between turns]`.

Writes a gateway log of that many lines (four for each request) with the three logs that belong to it, has
`counterfoil investigate` read them in a process of its own, and prints lines a second and the peak of its memory.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TextIO

START: Final = datetime(2026, 3, 12, tzinfo=UTC)
EVERY: Final = 5_000
"""One turn in so many is a redispatch."""


def main(gateway_lines: int, spacing_s: float) -> None:
    """Write, measure, print."""
    with tempfile.TemporaryDirectory() as folder:
        lines = write(Path(folder), gateway_lines // 4, spacing_s)
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        began = time.monotonic()
        said = investigate(Path(folder))
        took = time.monotonic() - began
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak, cpu = usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime
    print(f"{gateway_lines} gateway lines, {lines} lines in all, {size >> 20} MiB")
    print(f"{took:.1f} s ({cpu:.1f} s of one core), {lines / took:.0f} lines/s ({lines / cpu:.0f} by core time)")
    print(f"peak {peak:.0f} MiB, {said} duplicates found")


def investigate(folder: Path) -> int:
    """Run the command; return the number of duplicates in its answer."""
    command = [sys.executable, "-m", "app.cli", "investigate", "--format", "json"]
    for name in ("coordinator", "gateway", "audit", "submitter"):
        command += [f"--{name}", str(folder / name)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        command, cwd=root, stdout=subprocess.PIPE, check=False, env={**os.environ, "PYTHONPATH": str(root)}
    )
    return len(json.loads(done.stdout)["duplicates"])


def write(folder: Path, turns: int, spacing_s: float) -> int:
    """Write the four logs of so many turns; return the number of their lines."""
    names = ("coordinator", "gateway", "audit", "submitter")
    files = {name: (folder / name).open("w", encoding="utf-8") for name in names}
    for number in range(turns):
        turn(files, number, number * spacing_s)
    for file in files.values():
        file.close()
    return sum(sum(1 for _ in (folder / name).open("rb")) for name in names)


def stamp(at_s: float) -> str:
    """Write a time as the logs do."""
    moment = START + timedelta(milliseconds=round(at_s * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def turn(files: dict[str, TextIO], number: int, at: float) -> None:
    """Write one turn: a request and its effect, sometimes twice."""
    ids = f"thread=thr_{number // 3:x} run=run_{number:x} corr=cr_{number:x}"
    call, print_of = f"call_{number:x}", f"{number * 2654435761 % 2**32:08x}"
    steps = ("create_run model=gpt-4.1", "status=in_progress", "status=requires_action tool_calls=1",
             f"dispatch_tool name=create_ticket tool_call_id={call}", "status=in_progress", "status=completed")  # fmt: skip # noqa: E501
    for step, after in zip(steps, (0, 1.8, 3.1, 3.12, 6, 7.5), strict=True):
        files["coordinator"].write(f"{stamp(at + after)} coordinator INFO  {ids} {step}\n")
    for again in range(2 if number % EVERY == EVERY - 1 else 1):
        files["gateway"].write(
            f"{stamp(at + 3.3 + 2.6 * again)[11:]} POST /tools/create_ticket 200 2.1s\n"
            f"  x-corr-id=cr_{number:x}  x-run-id=run_{number:x}  x-thread-id=thr_{number // 3:x}\n"
            f"  body_hash={print_of}...  tool_call_id={call}\n\n"
        )
        entry = {"event": "ticket.created", "ticket_id": f"TCK-{number}-{again}", "created_at": stamp(at + 5.2 + 2.6 * again),  # noqa: E501
                 "source": "agent-tool-gateway", "request_fingerprint": f"{print_of}..."}  # fmt: skip
        files["audit"].write(json.dumps(entry) + "\n")
    ids = f"corr=cr_{number:x} run=run_{number:x} tool_call_id={call}"
    files["submitter"].write(
        f"{stamp(at + 5.5)} submitter INFO  {ids} normalize_ok bytes=842\n"
        f"{stamp(at + 5.6)} submitter INFO  {ids} submit_tool_outputs status=200\n"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, float(sys.argv[2]) if len(sys.argv) > 2 else 0.2)
