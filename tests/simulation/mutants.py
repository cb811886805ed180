"""Does the simulation see what it is there for? Breaks one rule of the code after another, in a copy of it.

    python tests/simulation/mutants.py [NAME…]      SCHEDULES=N says how many schedules each is given (120)

Each mutant changes one line; the simulation, or the test that the mutant names, must then fail. Prints which were
caught, and exits 1 when one was not.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SIMULATION: Final = "tests/simulation/test_simulation.py"
DECIDE: Final = "tests/worker/coordinator"
JOURNAL: Final = "tests/worker/test_journal.py"
MATRIX: Final = "tests/worker/test_crash_matrix.py"
CLIENT: Final = "tests/worker/gateway/test_client.py"
TIMEOUT_S: Final = 900


@dataclass(frozen=True)
class Mutant:
    """One line of a file, and what it becomes; `by` is the test that must notice."""

    name: str
    file: str
    line: str
    becomes: str
    by: str = SIMULATION


MUTANTS: Final = (
    Mutant("no lock statement", "sql/ledger/lock_runs.sql", "for no key update", "", JOURNAL),
    Mutant(
        "wakes not compared",
        "worker/journal.py",
        "return Applied.HELD if write.wakes in (None, run.wakes) else Applied.STALE",
        "return Applied.HELD",
        f"{JOURNAL} {SIMULATION}",
    ),
    Mutant(
        "epoch not compared",
        "worker/journal.py",
        "if run is None or run.epoch != write.epoch:",
        "if run is None:",
        f"{JOURNAL} {SIMULATION}",
    ),
    Mutant(
        "settle time 0",
        "worker/coordinator/decide.py",
        "return after(attempt.deadline, (call.contract.completion_s or 0.0) + call.contract.settle_s)",
        "return attempt.deadline",
        f"{DECIDE} {SIMULATION}",
    ),
    Mutant(
        "verdict from the last attempt",
        "worker/coordinator/verdict.py",
        "doubtful = tuple(a for a in attempts if a.state in DOUBTFUL)",
        "doubtful = tuple(a for a in attempts[-1:] if a.state in DOUBTFUL)",
        f"{DECIDE} {SIMULATION}",
    ),
    Mutant(
        "unknown is called failed",
        "worker/coordinator/learn.py",
        'return _closed(sent, outcome, AttemptState.UNKNOWN, "unknown")',
        'return _closed(sent, outcome, AttemptState.REFUSED, "nothing")',
    ),
    Mutant(
        "ended runs send",
        "worker/coordinator/decide.py",
        '    if run.ended:\n        return CallPlan(Rest(), Move(CallState.CANCELLED, "run_ended"))\n    if _counted(',
        "    if _counted(",
        f"{DECIDE} {SIMULATION}",
    ),
    Mutant(
        "a new key for each attempt",
        "worker/coordinator/errands.py",
        "effect_key=call.effect_key,",
        'effect_key=f"{call.effect_key}-{number}",',
        f"{SIMULATION} {MATRIX}",
    ),
    Mutant(
        "the key's life is not looked at",
        "worker/coordinator/decide.py",
        "return call.contract.key_ttl_s is not None and (until is None or until > now)",
        "return True",
        f"{DECIDE} {SIMULATION}",
    ),
    Mutant(
        "never is sent again",
        "worker/coordinator/decide.py",
        "        case Repeat.SAFE:\n            return _safe(call, run, now)",
        "        case Repeat.SAFE | Repeat.NEVER:\n            return _safe(call, run, now)",
        f"{SIMULATION} {MATRIX}",
    ),
    Mutant(
        "equal calls are not held",
        "worker/coordinator/rounds.py",
        "if elder.open_run_id is not None and elder.open_call_id is not None:",
        "if False:",
        "tests/worker/test_equal_calls.py",
    ),
    Mutant(
        "waking makes a held run due",
        "sql/ledger/wake_runs.sql",
        "case when r.lease_owner is null then counterfoil.db_now() else r.due_at end",
        "counterfoil.db_now()",
    ),
    Mutant(
        "send_by is not checked",
        "worker/gateway/transport.py",
        "if late_s > 0:",
        "if False:",
        CLIENT,
    ),
    Mutant(
        "an intent after the request",
        "worker/coordinator/drive.py",
        "if call.tool_call_id in written.intended and call.tool is not None",
        "if call.tool is not None",
        "tests/worker/test_runs.py tests/worker/test_doubt.py tests/worker/test_equal_calls.py",
    ),
    Mutant(
        "evidence only under the lease",
        "worker/coordinator/errands.py",
        "    result = await office.journal.learn(learnt_from(sent, outcome))",
        "    if sent.run_id not in office.leases.held:\n        return\n"
        "    result = await office.journal.learn(learnt_from(sent, outcome))",
        "tests/worker/test_stalls.py",
    ),
    Mutant(
        "a lookup refutes what is still under way",
        "worker/coordinator/decide.py",
        "    if over_at > now:\n        return _doubtful(call, run, CallPlan(Wait(over_at)))\n    if not call.known:",
        "    if not call.known:",
        f"{DECIDE} {SIMULATION}",
    ),
    Mutant(
        "not sent without a deadline",
        "worker/coordinator/rounds.py",
        "life_s = SEND_BY_S + tool.contract.timeout_s + desk.clock_slack_s",
        "life_s = 0.1",
        f"{DECIDE} {SIMULATION}",
    ),
)


def main(names: list[str]) -> int:
    """Try the named mutants, or all."""
    chosen = [mutant for mutant in MUTANTS if not names or mutant.name in names]
    missed = []
    with tempfile.TemporaryDirectory(prefix="counterfoil-mutants-") as folder:
        copy = Path(folder) / "code"
        copy_tree(copy)
        for mutant in chosen:
            caught, seconds, how = tried(copy, mutant)
            print(f"{'caught' if caught else 'MISSED':7} {seconds:6.1f} s  {mutant.name}: {how}", flush=True)
            missed += [] if caught else [mutant.name]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} caught")
    return 1 if missed else 0


def copy_tree(target: Path) -> None:
    """What git knows of, as it stands in the working tree."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def tried(copy: Path, mutant: Mutant) -> tuple[bool, float, str]:
    """Whether the test notices; how long that took; its last words."""
    file = copy / mutant.file
    whole = file.read_text()
    if whole.count(mutant.line) < 1:
        return False, 0.0, f"{mutant.file} has no such line any more: mend the mutant"
    file.write_text(whole.replace(mutant.line, mutant.becomes, 1))
    environ = {
        "SCHEDULES": "120",
        "SHRINK": "no",
        **os.environ,
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutant.by.split()]
    started = time.monotonic()
    try:
        done = subprocess.run(
            command, cwd=copy, env=environ, capture_output=True, text=True, check=False, timeout=TIMEOUT_S
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("E  ")] or done.stdout.splitlines()[-1:]
        return done.returncode == 1, time.monotonic() - started, " ".join(lines[:1])[:110].strip()
    except subprocess.TimeoutExpired:
        return False, time.monotonic() - started, "it never came to an end"
    finally:
        file.write_text(whole)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
