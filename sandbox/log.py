"""Log lines: one JSON object each, on stderr."""

import json
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from sandbox.effect import iso


def log(level: Literal["info", "error"], event: str, **facts: Any) -> None:
    """Write one line; a reader that went away is no reason to stop."""
    line = {"at": iso(datetime.now(UTC)), "level": level, "service": "sandbox", "event": event, **facts}
    try:
        sys.stderr.write(json.dumps(line, default=str) + "\n")
        sys.stderr.flush()
    except OSError:
        pass
