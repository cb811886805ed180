"""Builders: a thread and a request to a model."""

from typing import Any

from worker.models import PastCall, ThreadMessage, TurnRequest


def user(seq: int, text: str) -> ThreadMessage:
    return ThreadMessage(f"msg_{seq}", seq, "user", text)


def assistant(seq: int, text: str, run: int = 1, round: int = 0) -> ThreadMessage:
    return ThreadMessage(f"msg_{seq}", seq, "assistant", text, f"run_{run}", round)


def call(round: int, index: int, output: str | None = None, run: int = 1, **more: Any) -> PastCall:
    """A call of a run; run n has `run_seq` n. Its id is `call_<run>_<round>_<index>`."""
    return PastCall(
        run_id=f"run_{run}",
        run_seq=run,
        round=round,
        index=index,
        tool_call_id=f"call_{run}_{round}_{index}",
        provider_call_id=more.get("provider_call_id"),
        tool=more.get("tool", "look"),
        arguments=more.get("arguments", "{}"),
        output=output,
        input_seq=more.get("input_seq"),
    )


def request(*messages: ThreadMessage, run: int = 1, turn: int = 0, **more: Any) -> TurnRequest:
    """A request of run n; `input_seq` is the newest user message unless said otherwise."""
    spoken = [message.seq for message in messages if message.role == "user"]
    values: dict[str, Any] = {
        "run_id": f"run_{run}",
        "thread_id": "thread_1",
        "model": "scripted",
        "turn": turn,
        "instructions": None,
        "tools": (),
        "settings": {},
        "messages": messages,
        "calls": (),
        "input_seq": max(spoken, default=0),
    }
    return TurnRequest(**(values | more))
