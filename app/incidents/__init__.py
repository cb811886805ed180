"""The investigator: why did it happen twice, and what stands still.

`investigate_files` reads the logs of four services; `explain` is its pure core. The console calls both.
"""

from __future__ import annotations

from app.incidents.answer import Cause, Confidence, Duplicate, Explanation, Finding
from app.incidents.explain import explain
from app.incidents.ingest import investigate_files, read_records
from app.incidents.reading import UnusableInputError
from app.incidents.records import Record, Source
from app.incidents.render_json import as_json, render_json

__all__ = [
    "Cause",
    "Confidence",
    "Duplicate",
    "Explanation",
    "Finding",
    "Record",
    "Source",
    "UnusableInputError",
    "as_json",
    "explain",
    "investigate_files",
    "read_records",
    "render_json",
]
