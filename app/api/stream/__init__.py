"""Streams: what became of a run as server-sent events, joined at any time and served by any web process."""
