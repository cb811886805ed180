"""Many streams at once, more than a web process has threads for calls: each is whole, and calls are answered."""

import asyncio

import pytest

from tests.app.api.conftest import Site
from tests.bench.bench_streams import measure

STREAMS = 40


@pytest.mark.usefixtures("sandbox")
def test_many_streams_leave_room_for_calls(site: Site) -> None:
    """Times, with 200 streams: `python tests/bench/bench_streams.py`."""
    figures, _, _ = asyncio.run(measure(site.url, site.key, STREAMS))
    assert figures.ends == STREAMS
    assert figures.events >= STREAMS * 60, "each has its 50 pieces, and what stands around them"
    assert len(figures.calls_s) > 20, "calls were answered while all streams were open"
