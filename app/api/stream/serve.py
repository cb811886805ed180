"""Serving a stream: the events of one run as text, until its end."""

import queue
import time
from collections.abc import Iterator, Sequence
from typing import Final

from flask import Response
from pydantic_core import to_json

from app.api.answers import marked
from app.api.services import services
from app.api.stream.feed import Feed, Listener
from app.api.stream.projection import Event, Projection

PING: Final = b": ping\n\n"
PING_S: Final = 10.0
# A feed that has read nothing for so long cannot tell the run's end.
GIVE_UP_S: Final = 60.0
# A process that is told to stop gives its streams so long before it ends: less than gunicorn gives it.
MARGIN_S: Final = 3.0
_closing_at: list[float] = []  # empty, or the moment at which this process ends its streams
# Readers that split text into lines would end the data's one line at these; within JSON they may be escaped.
LINE_ENDS: Final = [(c.encode(), f"\\u{ord(c):04x}".encode()) for c in "\x85\u2028\u2029"]
HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def close_within(grace_s: float) -> None:
    """This process is to end: streams that are still open a little before `grace_s` are over end with an `error`."""
    if not _closing_at:
        _closing_at.append(time.monotonic() + max(grace_s - MARGIN_S, 0.0))


def stream_of(run_id: str, *, opening: Sequence[Event] = (), answered: int | None = None) -> Response:
    """The events of a run, from its beginning or from the round whose outputs were handed in."""
    projection = Projection(opening, answered)
    feed = services().feed
    listener = feed.listen(run_id, projection.first_round)
    response = Response(events(feed, listener, projection), content_type="text/event-stream", headers=HEADERS)
    return marked(response)


def events(feed: Feed, listener: Listener, projection: Projection) -> Iterator[bytes]:
    """The text of the events; ends with the run, with its wait for the client, or with an `error`."""
    heard_at = time.monotonic()
    sent_at = heard_at
    try:
        while not projection.ended:
            if _closing_at and time.monotonic() >= _closing_at[0]:
                yield from map(encoded, FAILURE)
                return
            try:
                seen = listener.news.get(timeout=max(0.1, sent_at + PING_S - time.monotonic()))
            except queue.Empty:
                sent_at = time.monotonic()
                if sent_at - heard_at >= GIVE_UP_S:
                    yield from map(encoded, FAILURE)
                    return
                yield PING
                continue
            heard_at = time.monotonic()
            fresh = projection.advance(seen)
            if fresh:
                sent_at = heard_at
                yield b"".join(map(encoded, fresh))
    finally:
        feed.leave(listener)


def encoded(event: Event) -> bytes:
    """One event as text: its name, one line of data, an empty line."""
    name, data = event
    text = data.encode() if isinstance(data, str) else to_json(data)
    if not text.isascii():
        for line_end, escape in LINE_ENDS:
            text = text.replace(line_end, escape)
    return b"event: " + name.encode() + b"\ndata: " + text + b"\n\n"


_PROBLEM: Final = {"message": "The stream was lost.", "type": "server_error", "param": None, "code": None}
FAILURE: Final[tuple[Event, ...]] = (("error", {"error": _PROBLEM}), ("done", "[DONE]"))
