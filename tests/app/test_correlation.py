"""What a tool's event means for the attempts of its call."""

from datetime import UTC, datetime

import pytest

from app.correlation import Event, meaning
from sql.tool_calls import AttemptRow, CallFacts

NOW = datetime(2026, 3, 12, tzinfo=UTC)
FAILURE = Event("run", "call", succeeded=False, output="null")
CALL = CallFacts(
    "run", "call", "pay", "server", "keyed", {}, "intended", None, None, told=False, settled_at=None, settled_by=None,
    contested=None, orphaned=None, version=1, run_status="requires_action", ledger="enforce",
    ended=False, last_operator=None, now=NOW,
)  # fmt: skip


def attempt(number: int, state: str) -> AttemptRow:
    """An attempt in this state."""
    return AttemptRow("run", "call", number, 1, "worker", state, NOW, NOW, None, None, None, None, NOW)


@pytest.mark.parametrize(
    ("states", "closed"),
    [
        (["open"], [1]),  # before its 202 was recorded
        (["accepted"], [1]),
        (["unknown", "accepted"], [1, 2]),
        (["unknown", "open"], [1]),  # the second may happen yet: its own answer tells
    ],
)
def test_a_failure_that_names_no_attempt_closes_none_that_is_out_after_another(
    states: list[str], closed: list[int]
) -> None:
    attempts = [attempt(number, state) for number, state in enumerate(states, 1)]
    assert list(meaning(CALL, attempts, FAILURE, None).attempts) == closed
