"""Check the models of docs/model with spin: every property must hold, and every mutant must be caught.

    python tests/model/check.py [--small] [--only NAME] [--list] [--trail NAME]

Prints a table and exits 1 when a property fails, a mutant survives, or a search did not finish. `--trail` prints the
shortest schedule that catches a mutant.
"""

import argparse
import concurrent.futures
import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODELS: Final = Path(__file__).resolve().parents[2] / "docs" / "model"
TOOLS: Final = MODELS / "run"
MEMORY_MIB: Final = 3500
SEARCH_TIMEOUT_S: Final = 400
PARALLEL: Final = 2


class ToolsMissing(Exception):
    """spin or gcc is missing and could not be installed."""


@dataclass(frozen=True)
class Check:
    """One search: `defines` choose the configuration; `breaks` says that a violation is what we want to see."""

    name: str
    model: str
    defines: str
    breaks: bool = False
    live: bool = False
    small: bool = False


@dataclass(frozen=True)
class Result:
    """What a search found: the violated property's text (empty: none), whether it finished, its size and time."""

    check: Check
    violated: str
    finished: bool
    states: int
    seconds: float

    @property
    def as_wanted(self) -> bool:
        """A property that held in a whole search, or a mutant that was caught."""
        return bool(self.violated) if self.check.breaks else self.finished and not self.violated

    @property
    def verdict(self) -> str:
        """One word for the table."""
        match (self.check.breaks, bool(self.violated), self.finished):
            case (True, True, _):
                return "caught"
            case (True, False, True):
                return "SURVIVES"
            case (False, True, _):
                return "VIOLATED"
            case (False, False, True):
                return "holds"
            case _:
                return "UNFINISHED"


SAFE, KEYED, LOOKUP, NEVER = "-DC0=SAFE", "-DC0=KEYED -DNO_GUESS", "-DC0=LOOKUP", "-DC0=NEVER"
TURN: Final = "-DNO_GUESS -DBOUNDED"
IN_TURN: Final = "-DC0=SAFE -DC1=KEYED -DC2=LOOKUP -DC3=NEVER"

PROPERTIES: Final = (
    Check("lease", "lease", "", small=True),
    Check("lease-3-workers", "lease", "-DWORKERS=3"),
    Check("lease-ends", "lease", "-DLIVE", live=True, small=True),
    Check("call-safe", "call", SAFE),
    Check("call-keyed", "call", KEYED),
    Check("call-lookup", "call", LOOKUP),
    Check("call-lookup-small", "call", f"{LOOKUP} -DNO_GUESS", small=True),
    Check("call-never", "call", NEVER),
    Check("call-lookup-3-attempts", "call", "-DC0=LOOKUP -DNA=3 -DNO_GUESS"),
    Check("call-lookup-3-workers", "call", "-DC0=LOOKUP -DWORKERS=3 -DNO_GUESS -DNO_CANCEL"),
    Check("call-lookup-then-never", "call", f"-DCALLS=2 -DC0=LOOKUP -DC1=NEVER {TURN}"),
    Check("call-all-in-turn", "call", f"-DCALLS=4 -DNA=1 {IN_TURN} {TURN} -DCRASHES=0 -DNO_CANCEL"),
    Check("call-lookup-ends", "call", "-DC0=LOOKUP -DNO_GUESS -DLIVE", live=True),
    Check("equal-lookup", "equal", "-DRUNS=2 -DKIND=LOOKUP", small=True),
    Check("equal-never", "equal", "-DRUNS=2 -DKIND=NEVER"),
    Check("equal-keyed", "equal", "-DRUNS=2 -DKIND=KEYED"),
)


def _mutant(name: str, model: str, defines: str, *, small: bool = False) -> Check:
    macro = "-DM_" + name.upper().replace("-", "_")
    return Check(name, model, f"{macro} {defines}".strip(), breaks=True, small=small)


MUTANTS: Final = (
    _mutant("no-lock", "lease", "", small=True),
    _mutant("lock-and-read-at-once", "lease", ""),
    _mutant("wakes-read-after-state", "lease", ""),
    _mutant("waking-shortens-lease", "lease", "", small=True),
    _mutant("claim-keeps-epoch", "lease", ""),
    _mutant("claim-waits-for-no-lock", "lease", ""),
    _mutant("cancel-keeps-epoch", "lease", ""),
    _mutant("renew-ignores-epoch", "lease", ""),
    _mutant("intent-ignores-wakes", "lease", ""),
    _mutant("park-ignores-wakes", "lease", "", small=True),
    _mutant("evidence-does-not-wake", "lease", ""),
    _mutant("send-before-intent", "call", NEVER),
    _mutant("warned-commit-sends", "call", NEVER),
    _mutant("no-send-by", "call", LOOKUP, small=True),
    _mutant("deadline-without-send-by", "call", LOOKUP),
    _mutant("no-settle", "call", LOOKUP, small=True),
    _mutant("lookup-refutes-later", "call", LOOKUP, small=True),
    _mutant("no-answer-is-none", "call", LOOKUP),
    _mutant("new-key", "call", KEYED, small=True),
    _mutant("key-for-ever", "call", KEYED),
    _mutant("key-checked-in-decide-only", "call", KEYED),
    _mutant("key-without-settle", "call", KEYED),
    _mutant("verdict-of-last", "call", KEYED),
    _mutant("in-doubt-sends-again", "call", NEVER),
    _mutant("used-up-is-failed", "call", KEYED),
    _mutant("ended-run-calls-it-off", "call", NEVER),
    _mutant("operator-refutes-all", "call", NEVER),
    _mutant("evidence-fenced", "call", NEVER, small=True),
    _mutant("ended-runs-send", "call", LOOKUP),
    _mutant("cancel-leaves-doubt", "call", LOOKUP),
    _mutant("equal-not-held", "equal", "-DRUNS=2", small=True),
    _mutant("sent-after-elder-succeeded", "equal", "-DRUNS=2"),
    _mutant("asked-when-the-model-asks", "equal", "-DRUNS=2"),
    _mutant("sent-while-elder-with-operator", "equal", "-DRUNS=2 -DKIND=NEVER"),
    _mutant("only-latest-elder", "equal", "-DRUNS=3 -DKIND=NEVER -DFEWER"),
    _mutant("new-run-beside-the-old", "equal", "-DRUNS=2"),
    _mutant("cancel-settles-intended", "equal", "-DRUNS=2"),
    _mutant("not-fenced", "equal", "-DRUNS=2"),
    _mutant("held-is-not-due", "equal", "-DRUNS=2"),
)

# What the design leaves open: taken away, the properties must break, or the assumption is not one.
ASSUMPTIONS: Final = (Check("effect-later-than-settle", "call", f"-DA_LATE_EFFECT {LOOKUP}", breaks=True),)

# Where two rules guard one door: without one of them nothing happens, as long as the other stands.
DOUBLED: Final = (
    Check("intent-ignores-wakes-behind-backstop", "call", f"-DM_INTENT_IGNORES_WAKES -DBACKSTOP {LOOKUP}"),
    Check("cancel-keeps-epoch-behind-wakes", "call", f"-DM_CANCEL_KEEPS_EPOCH -DNO_P3 {LOOKUP}"),
)

SCRATCH: Final = r"\(*(i|j|first|any_|min_|waits_for|else|1\)|open_elder|good_elder)|else|goto|break|\.\(goto\)"

CHECKS: Final = PROPERTIES + MUTANTS + ASSUMPTIONS + DOUBLED


def ensure_tools() -> None:
    """Have spin and gcc, installing them where that is allowed; raises ToolsMissing with the command that would."""
    done = subprocess.run(["sh", str(TOOLS), "--tools"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolsMissing(done.stderr.strip())


def _build(check: Check, folder: Path, *, shortest: bool) -> None:
    """Translate and compile the model into `folder`/pan."""
    defines = [*check.defines.split(), *(["-DSHORTEST"] if shortest else [])]
    spin = ["spin", "-a", *defines, str(MODELS / f"{check.model}.pml")]
    translated = subprocess.run(spin, cwd=folder, capture_output=True, text=True, check=False)
    if translated.returncode != 0 or not (folder / "pan.c").exists():
        raise RuntimeError(f"{check.name}: spin: {translated.stdout}{translated.stderr}")
    kind = ["-DNFAIR=3"] if check.live else ["-DSAFETY", *(["-DBFS"] if shortest else [])]
    limits = ["-DCOLLAPSE", "-DVECTORSZ=1024", f"-DMEMLIM={MEMORY_MIB}"]
    subprocess.run(["gcc", "-O1", "-w", *kind, *limits, "-o", "pan", "pan.c"], cwd=folder, check=True)


def _search(check: Check, folder: Path) -> str:
    """Run the search and return what it printed, all of it or what came before the time was up."""
    options = ["-a", "-f"] if check.live else []
    command = ["nice", "./pan", "-m2000000", *options]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=SEARCH_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return "timed out"
    return done.stdout + done.stderr


def run(check: Check) -> Result:
    """Search the whole state space of one configuration."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        _build(check, Path(name), shortest=False)
        output = _search(check, Path(name))
    violated = re.search(r"^pan:1: (.*?)(?: \(at depth \d+\))?$", output, re.MULTILINE)
    states = re.search(r"^ *(\S+) states, stored", output, re.MULTILINE)
    whole = "errors: 0" in output and "Search not completed" not in output and "too small" not in output
    return Result(
        check,
        violated.group(1) if violated else "",
        whole,
        int(float(states.group(1))) if states else 0,
        time.monotonic() - begun,
    )


def trail(check: Check) -> str:
    """The shortest schedule that violates a property, as spin's simulation of it prints it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _build(check, folder, shortest=True)
        _search(check, folder)
        found = next(folder.glob("*.trail"), None)
        if found is None:
            return "no trail"
        replay = ["spin", "-k", found.name, "-p", "-g", "-l", "-DSHORTEST", *check.defines.split()]
        done = subprocess.run(
            [*replay, str(MODELS / f"{check.model}.pml")], cwd=folder, capture_output=True, text=True, check=False
        )
        return _schedule(done.stdout)


def _schedule(replayed: str) -> str:
    """Of spin's replay only what was done, by whom, in which line, without the scratch of pure code."""
    steps = re.findall(r"proc +(\d+) \((\S+?):\d+\) \S*?(\w+\.pml:\d+) \(state \d+\)\t\[(.*)\]", replayed)
    return "\n".join(
        f"{process:9} {number:>2} {line:14} {what}"
        for number, process, line, what in steps
        if not re.match(SCRATCH, what)
    )


def chosen(*, small: bool, only: str | None) -> tuple[Check, ...]:
    """The checks of a size, or the one of a name."""
    if only is not None:
        return tuple(check for check in CHECKS if check.name == only)
    return tuple(check for check in CHECKS if check.small or not small)


def _row(result: Result) -> str:
    what = result.violated[:60] if result.violated else ""
    return (
        f"{result.check.model:6} {result.check.name:38} {result.verdict:10} "
        f"{result.states:>11,} {result.seconds:6.1f} s  {what}"
    )


def run_all(checks: tuple[Check, ...]) -> list[Result]:
    """Run the checks, two at a time, printing a row as each ends."""
    results = []
    with concurrent.futures.ThreadPoolExecutor(min(PARALLEL, os.cpu_count() or 1)) as pool:
        for result in pool.map(run, checks):
            print(_row(result), flush=True)
            results.append(result)
    return results


def main(arguments: list[str]) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check the protocol's models with spin.")
    parser.add_argument("--small", action="store_true", help="a reduced size, under a minute")
    parser.add_argument("--only", metavar="NAME", help="one check")
    parser.add_argument("--list", action="store_true", help="the names of all checks")
    parser.add_argument("--trail", metavar="NAME", help="the shortest schedule that catches a mutant")
    options = parser.parse_args(arguments)
    checks = chosen(small=options.small, only=options.trail or options.only)
    if not checks:
        parser.error(f"no check is called {options.trail or options.only}")
    if options.list:
        print("\n".join(check.name for check in checks))
        return 0
    try:
        ensure_tools()
    except ToolsMissing as missing:
        print(missing, file=sys.stderr)
        return 69
    if options.trail:
        print(trail(checks[0]))
        return 0
    wrong = [result for result in run_all(checks) if not result.as_wanted]
    print(f"{len(checks) - len(wrong)} of {len(checks)} as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
