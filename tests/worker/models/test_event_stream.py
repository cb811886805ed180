"""Server-sent events, however they are cut into pieces."""

import pytest

from worker.models.event_stream import EventStream

STREAM = (
    "\ufeff: a comment\r\nevent: x\r\ndata: one\r\n\r\n"
    "data:two\nid: 7\n\ndata: é🎉\ndata:  more\n\nretry: 5\n\n\ndata:\n\ndata: cr\r\rdata\n\ndata: last"
)
EVENTS = ["one", "two", "é🎉\n more", "", "cr", "last"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size(size: int) -> None:
    data, stream = STREAM.encode(), EventStream()
    found = [event for start in range(0, len(data), size) for event in stream.feed(data[start : start + size])]
    assert found + stream.end() == EVENTS


def test_an_event_is_told_as_soon_as_it_is_complete() -> None:
    stream = EventStream()
    assert stream.feed(b"data: one\n") == []
    assert stream.feed(b"\n") == ["one"]
    assert stream.feed(b"data: \xff\n\n") == ["\ufffd"]
    assert stream.end() == []
