"""Reading a stream as strictly as its contract is written, and holding its order against the contract's table."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Event = tuple[str, Any]
PING: Final = ": ping"
BLOCK: Final = re.compile(r"event: ([a-z_.]+)\ndata: ([^\n]*)")
ENDS: Final = frozenset(
    f"thread.run.{word}" for word in ("completed", "requires_action", "failed", "incomplete", "cancelled", "expired")
)
STEP_ENDS: Final = frozenset(f"thread.run.step.{word}" for word in ("completed", "failed", "cancelled", "expired"))


def parsed(text: str) -> list[Event]:
    """The events of a whole stream; AssertionError for anything that the contract does not know."""
    assert text.endswith("\n\n"), text[-200:]
    events: list[Event] = []
    for block in text[:-2].split("\n\n"):
        if block == PING:
            continue
        found = BLOCK.fullmatch(block)
        assert found, f"no event of ours: {block!r}"
        events.append((found[1], found[2] if found[1] == "done" else json.loads(found[2])))
    return events


def names(events: Sequence[Event]) -> list[str]:
    """The names in order, several deltas of a kind as one."""
    found: list[str] = []
    for name, _ in events:
        if not (name.endswith("delta") and found and found[-1] == name):
            found.append(name)
    return found


@dataclass
class Reader:
    """What a client's helper has gathered; each method checks one kind of event."""

    texts: dict[str, str | None] = field(default_factory=dict)
    steps: dict[str, list[dict[str, str]] | None] = field(default_factory=dict)

    def take(self, name: str, data: Any) -> None:
        """One event, in order."""
        match name:
            case "thread.message.created":
                assert data["id"] not in self.texts
                assert (data["content"], data["status"], data["completed_at"]) == ([], "in_progress", None)
                self.texts[data["id"]] = None
            case "thread.message.in_progress":
                assert data["content"] == []
            case "thread.message.delta":
                [part] = data["delta"]["content"]
                assert (part["index"], part["type"], part["text"]["annotations"]) == (0, "text", [])
                self.texts[data["id"]] = (self.texts[data["id"]] or "") + part["text"]["value"]
            case "thread.message.completed" | "thread.message.incomplete":
                assert self.texts[data["id"]] is not None, "no delta"
                assert data["content"][0]["text"]["value"] == self.texts[data["id"]]
                assert name.endswith(data["status"])
            case "thread.run.step.created":
                assert data["id"] not in self.steps
                self.steps[data["id"]] = []
                self._empty(data)
            case "thread.run.step.in_progress":
                self._empty(data)
            case "thread.run.step.delta":
                self._delta(data)
            case _ if name in STEP_ENDS:
                self._step_end(name, data)

    def _empty(self, data: Any) -> None:
        details = data["step_details"]
        assert data["status"] == "in_progress" and data["usage"] is None
        assert details["type"] == "message_creation" or details["tool_calls"] == []

    def _delta(self, data: Any) -> None:
        assert set(data) == {"id", "object", "delta"}
        [delta] = data["delta"]["step_details"]["tool_calls"]
        calls = self.steps[data["id"]]
        assert calls is not None
        if delta["index"] == len(calls):
            assert delta["function"]["arguments"] == "" and delta["function"]["output"] is None
            calls.append({"id": delta["id"], "name": delta["function"]["name"], "arguments": ""})
        else:
            assert set(delta) == {"index", "type", "function"} and set(delta["function"]) == {"arguments"}
            calls[delta["index"]]["arguments"] += delta["function"]["arguments"]

    def _step_end(self, name: str, data: Any) -> None:
        assert name == f"thread.run.step.{data['status']}"
        assert data[f"{data['status']}_at"] and data["usage"] is not None
        told = self.steps.get(data["id"])  # of an answered step this stream has told nothing else
        if data["type"] == "tool_calls" and told is not None:
            shown = [{"id": one["id"], **one["function"]} for one in data["step_details"]["tool_calls"]]
            assert [{k: one[k] for k in ("id", "name", "arguments")} for one in shown] == told


def checked(text: str) -> list[Event]:
    """The events of a whole stream, after everything that must hold of any stream was looked at."""
    events = parsed(text)
    reader = Reader()
    for name, data in events:
        reader.take(name, data)
        if name.startswith("thread.run.") and ".step." not in name:
            word = name.removeprefix("thread.run.")
            assert data["status"] == ("queued" if word == "created" else word)
            assert (data["required_action"] is not None) == (word == "requires_action")
            assert word not in ("created",) or data["started_at"] is None
    ends = [name for name, _ in events if name in ENDS]
    assert len(ends) == 1, names(events)
    assert [name for name, _ in events[-2:]] == [ends[0], "done"]
    assert events[-1][1] == "[DONE]"
    return events
