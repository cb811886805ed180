"""The feed: one thread of a web process that looks for all its streams whether anything is new."""

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from app.api.expiry import end_overdue_in
from app.api.stream.projection import Seen
from app.database import COMMIT, Database, Notifier
from app.errors import Unavailable
from app.logs import get_logger
from sql.runs import read_runs
from sql.statement import Statement, no_rows
from sql.streams import latest_events, read_calls, read_messages, read_steps

LOOK_S: Final = 0.04
# Also without news, so that a run whose time is up is seen to expire.
AGAIN_S: Final = 1.0
SNAPSHOT: Final = Statement("snapshot", "begin isolation level repeatable read, read only", {}, no_rows)

_log = get_logger(part="streams")


@dataclass(eq=False)
class Listener:
    """One stream: its run, the first round that it shows, and what has been read for it."""

    run_id: str
    first_round: int
    news: "queue.SimpleQueue[Seen]" = field(default_factory=queue.SimpleQueue)


class Feed:
    """All listeners of a process. The thread starts with the first listener, and ends when the last has gone."""

    def __init__(self, database: Database, notifier: Notifier) -> None:
        self._database = database
        self._notifier = notifier
        self._listeners: set[Listener] = set()
        self._latest: dict[str, int] = {}
        self._changed = threading.Lock()
        self._thread: threading.Thread | None = None

    def listen(self, run_id: str, first_round: int) -> Listener:
        """A new listener, which is soon told how its run stands."""
        listener = Listener(run_id, first_round)
        with self._changed:
            self._listeners.add(listener)
            self._latest.pop(run_id, None)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
                self._thread.start()
        return listener

    def leave(self, listener: Listener) -> None:
        """Forgets a listener."""
        with self._changed:
            self._listeners.discard(listener)

    def _run(self) -> None:
        looked_at = 0.0
        while True:
            with self._changed:
                if not self._listeners:
                    self._thread = None
                    self._latest.clear()
                    return
                listeners = list(self._listeners)
            again = time.monotonic() - looked_at >= AGAIN_S
            try:
                self._look(listeners, again=again)
            except Unavailable:
                _log.warning("streams wait for the database", listeners=len(listeners))
            except Exception:  # a bug must not silence every stream of the process
                _log.exception("the feed failed")
            looked_at = time.monotonic() if again else looked_at
            time.sleep(LOOK_S)

    def _look(self, listeners: Sequence[Listener], *, again: bool) -> None:
        ids = sorted({listener.run_id for listener in listeners})
        events = self._database.read_one(latest_events(ids))
        latest = dict(events)
        with self._changed:
            changed = {run_id for run_id in ids if again or self._latest.get(run_id) != latest[run_id]}
            self._latest.update({run_id: latest[run_id] for run_id in changed})
            # Those that came meanwhile too: for them this look is the first.
            concerned = [listener for listener in self._listeners if listener.run_id in changed]
        if concerned:
            self._tell(concerned)

    def _tell(self, listeners: Sequence[Listener]) -> None:
        seen = self._read(listeners)
        for listener in listeners:
            if listener.run_id in seen:
                listener.news.put(seen[listener.run_id])

    def _read(self, listeners: Iterable[Listener]) -> dict[str, Seen]:
        rounds: dict[str, int] = {}
        for listener in listeners:
            rounds[listener.run_id] = min(rounds.get(listener.run_id, listener.first_round), listener.first_round)
        runs, steps, messages, calls = self._snapshot(rounds)
        if end_overdue_in(self._database, self._notifier, runs):
            runs, steps, messages, calls = self._snapshot(rounds)
        steps_of, calls_of, messages_of = (
            grouped(steps, lambda row: row.run_id),
            grouped(calls, lambda row: row.run_id),
            grouped(messages, lambda row: row.message.run_id),
        )
        return {
            run.id: Seen(run, steps_of[run.id], {m.message.id: m for m in messages_of[run.id]}, calls_of[run.id])
            for run in runs
        }

    def _snapshot(self, rounds: dict[str, int]) -> list[Any]:
        """Runs, steps, messages and calls as they stood at one moment, so that no event overtakes another."""
        of_runs = read_runs(None, None, list(rounds))
        parts = (of_runs, read_steps(rounds), read_messages(rounds), read_calls(rounds))
        return self._database.read(SNAPSHOT, *parts, COMMIT)[1:-1]


def grouped(rows: Iterable[Any], key: Any) -> dict[str, list[Any]]:
    """Rows by key, in order."""
    groups: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        groups[key(row)].append(row)
    return groups
