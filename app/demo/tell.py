"""How the demo is told: as it goes, and at its end side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.demo.act import TITLE, Act
from app.demo.stage import LATENCY_S, LEASE_S, SETTLE_S, TIMEOUT_S, Mode

COLOURS: Final = {"tickets": "magenta", "client": "cyan", "ledger": "green", "run": "blue"}
OPENING: Final = (
    "[bold]10:16, twice.[/] On 2026-03-12 replicas restarted while tools answered slowly, and one request for a ticket "
    "made two. Here it happens again, on real processes: Postgres, the agent API, two workers, and a ticket system "
    f"that answers {LATENCY_S} s after it has made a ticket. The worker that waits for this answer is killed.",
    "The same turn twice: coordinated as it was (LEDGER=off), then by the ledger (LEDGER=enforce). To keep it short "
    f"timeout_s is {TIMEOUT_S} instead of 10, settle_s {SETTLE_S} instead of 15, a lease {LEASE_S} s instead of 30.",
)
TITLES: Final[dict[Mode, str]] = {
    "off": "1. LEDGER=off: no intent is written; who takes over sends again",
    "enforce": "2. LEDGER=enforce: the intent is committed before the request",
}


class Teller:
    """Writes to one console. Plain where that is no terminal, or NO_COLOR is set."""

    def __init__(self, console: Console) -> None:
        self.console = console

    def open(self) -> None:
        """What is going to happen."""
        for paragraph in OPENING:
            self.console.print(paragraph + "\n", width=min(100, self.console.width))

    def act(self, mode: Mode) -> None:
        """The head of an act."""
        self.console.print(f"[bold]{TITLES[mode]}[/]" if mode == "off" else f"\n[bold]{TITLES[mode]}[/]")

    def say(self, seconds: float, who: str, what: str) -> None:
        """One thing that was seen."""
        colour = COLOURS.get(who, "red" if "kill" in what else "yellow")
        self.console.print(f"  {seconds:5.1f} s  [{colour}]{who:<8}[/]  {escape(what)}", soft_wrap=True)

    def close(self, acts: dict[Mode, Act], commands: list[str]) -> None:
        """The two audit trails, the ledger's record, what it cost, and where to look on."""
        off, enforce = acts["off"], acts["enforce"]
        self.console.print("\n[bold]What the ticket system says[/] (its own audit trail)\n")
        sides = Table.grid(padding=(0, 4))
        sides.add_row(trail(off), trail(enforce))
        self.console.print(sides)
        saw = [shown_answers(act) for act in (off, enforce)]
        seen = f"the same both times, once: {saw[0]}" if saw[0] == saw[1] else " and ".join(saw)
        self.console.print(f"\nWhat the user saw: {seen}")
        self.console.print(f"\n[bold]What the ledger holds[/] of {call_id(enforce)}\n", soft_wrap=True)
        self.console.print(record(enforce))
        self.console.print(
            f"\nThe price: this turn took {enforce.seconds:.1f} s instead of {off.seconds:.1f} s, because what "
            "is in doubt waits until it can be known. A turn whose answers arrive does not wait.",
        )
        self.console.print(
            "\nLook deeper: why there were two, from the logs that this left behind; then all of it, to try.\n"
        )
        for command in commands:
            self.console.print(f"  {command}", soft_wrap=True, highlight=False)


def trail(act: Act) -> Table:
    """The tickets of one act."""
    number = len(act.tickets)
    verdict = "[red]" if number > 1 else "[green]"
    table = Table(title=f"LEDGER={act.mode}", caption=f"{verdict}{number} ticket{'s' * (number != 1)}[/] for 1 request")
    table.add_column("made at")
    table.add_column("ticket")
    for ticket in act.tickets:
        table.add_row(time_of_day(datetime.fromisoformat(ticket["created_at"])), ticket["ticket_id"])
    return table


def record(act: Act) -> Table:
    """Attempts and evidence of the call, in order of time."""
    table = Table("after", "what", "by", show_header=True)
    for at, what, by in sorted(facts(act), key=lambda fact: fact[0]):
        table.add_row(f"{(at - act.began).total_seconds():.2f} s", what, by)
    return table


def facts(act: Act) -> list[tuple[datetime, str, str]]:
    """What the ledger knows of the call: time, words, source."""
    found = []
    for a in act.attempts:
        found.append((a.intended_at, f"intent of attempt {a.number}, epoch {a.epoch}", name_of(a.owner, act)))
        if a.state != "succeeded" or any(e.event == "attempt.unknown" for e in act.events):
            found.append((a.deadline, f"deadline of attempt {a.number}: no reply came, so its outcome is unknown", ""))
            found.append((a.over_at, "settled: what a lookup does not show now has not happened", ""))
    for e in act.evidence:
        about = f" of attempt {e.attempt}" if e.attempt else ""
        found.append((e.at, f"{e.kind}{about} says: {e.says} {e.external_id or ''}".rstrip(), name_of(e.source, act)))
    if act.call is not None and act.call.settled_at is not None:
        found.append((act.call.settled_at, f"verdict: {act.call.state}, by {act.call.settled_by}", ""))
    return found


def name_of(owner: str, act: Act) -> str:
    """The worker that an owner's name means."""
    numbers = [claim.number for claim in act.claims if claim.owner == owner]
    if not numbers:
        return owner
    return f"worker {numbers[0]}" + (", killed" if numbers[0] == act.killed else "")


def call_id(act: Act) -> str:
    """The call's id."""
    return act.call.tool_call_id if act.call is not None else "?"


def shown_answers(act: Act) -> str:
    """The assistant's messages."""
    return " ".join(f'"{answer}"' for answer in act.answers) or "none"


def time_of_day(at: datetime) -> str:
    """With milliseconds, UTC."""
    return at.strftime("%H:%M:%S.%f")[:-3]


def as_json(acts: dict[Mode, Act], seconds: float, folder: str) -> dict[str, Any]:
    """For scripts: what became of both acts."""
    shown: dict[str, Any] = {mode: act_as_json(act) for mode, act in acts.items()}
    return {**shown, "as_expected": as_expected(acts), "seconds": round(seconds, 1), "traces": folder, "title": TITLE}


def as_expected(acts: dict[Mode, Act]) -> bool:
    """Two tickets without the ledger, one with it."""
    return len(acts["off"].tickets) == 2 and len(acts["enforce"].tickets) == 1


def act_as_json(act: Act) -> dict[str, Any]:
    """One act."""
    return {
        "run_id": act.run_id,
        "thread_id": act.thread_id,
        "status": act.status,
        "answers": act.answers,
        "tickets": [ticket["ticket_id"] for ticket in act.tickets],
        "attempts": [{"attempt": a.number, "state": a.state, "reason": a.reason} for a in act.attempts],
        "evidence": [{"kind": e.kind, "says": e.says, "external_id": e.external_id} for e in act.evidence],
        "call": None if act.call is None else {"state": act.call.state, "settled_by": act.call.settled_by},
        "turn_s": round(act.seconds, 2),
    }
