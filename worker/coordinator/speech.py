"""What a model is saying while it says it, so that a client may read along.

A text is stored before it is whole only when the model takes its time: pieces are gathered, and what has
gathered is written at intervals, fenced by the epoch alone, since it decides nothing.
"""

import asyncio
from typing import Final

import psycopg

from sql.decisions import MessageMove, NewMessage, NewStep, RunRow
from sql.ids import new_id
from sql.vocabulary import StepType
from worker.batches import DatabaseGone
from worker.coordinator.rounds import message_content, pieces_array, storable
from worker.journal import Journal
from worker.records import Applied, Write

# A model that is done by then has its text stored once, with its round.
FIRST_S: Final = 0.15
BETWEEN_S: Final = 0.1


class Speech:
    """One turn's text, piece by piece. message_id, step_id: made anew for each; begun: they are stored."""

    def __init__(self, run: RunRow, journal: Journal) -> None:
        self.run = run
        self.message_id = new_id("msg")
        self.step_id = new_id("step")
        self.pieces: list[str] = []
        self.begun = False
        self._journal = journal
        self._stored = 0
        self._lost = False
        self._writer: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    async def hear(self, piece: str) -> None:
        """Takes the next piece; it is written soon, if the model goes on for long enough."""
        self.pieces.append(storable(piece))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write_along())

    async def close(self) -> None:
        """Writes no more; what was begun stays as it is, for its round to end or another try to void."""
        for task in (self._writer, self._writing):
            if task is not None:
                if task is self._writer:
                    task.cancel()
                await asyncio.wait({task})

    async def _write_along(self) -> None:
        await asyncio.sleep(FIRST_S)
        while not self._lost:
            if self._stored < len(self.pieces):
                # A write under way when the text ends is waited for: it may have begun the message.
                self._writing = asyncio.create_task(self._write(len(self.pieces)))
                await asyncio.wait({self._writing})
            await asyncio.sleep(BETWEEN_S)

    async def _write(self, count: int) -> None:
        content, lengths = message_content("".join(self.pieces[:count])), pieces_array(self.pieces[:count])
        run = self.run
        if self.begun:
            move = MessageMove(self.message_id, content, lengths, "in_progress")
            write = Write(run.id, run.epoch, None, message_moves=(move,))
        else:
            message = NewMessage(
                id=self.message_id,
                thread_id=run.thread_id,
                run_id=run.id,
                assistant_id=run.assistant_id,
                round=run.rounds,
                content=content,
                pieces=lengths,
                status="in_progress",
            )
            step = NewStep(self.step_id, run.id, run.rounds, StepType.MESSAGE_CREATION, self.message_id, "in_progress")
            write = Write(run.id, run.epoch, None, messages=(message,), steps=(step,), speaks=True)
        try:
            written = await self._journal.decide(write)
        except (DatabaseGone, psycopg.Error):
            self._lost = True
            if not self.begun:
                # It may be stored all the same: the round writes its own, under other names, and voids this one.
                self.message_id, self.step_id = new_id("msg"), new_id("step")
            return
        # Uncertain is committed here: the message is there.
        self._lost = written.applied not in (Applied.HELD, Applied.UNCERTAIN)
        self.begun = self.begun or not self._lost
        self._stored = count
