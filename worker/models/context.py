"""What a model gets to see of a thread: pure functions from a `TurnRequest`.

Messages are cut by `truncation_strategy`; the calls of this and earlier runs stand where they were asked. A
batch of calls is kept or dropped as a whole, so no answer ever stands without its call, nor a call without
its answer.
"""

from worker.models import ThreadMessage, TurnRequest


def visible_messages(request: TurnRequest) -> tuple[ThreadMessage, ...]:
    """The thread's messages that `truncation_strategy` leaves, oldest first; `auto` leaves all."""
    match request.settings.get("truncation_strategy"):
        case {"type": "last_messages", "last_messages": int(count)} if count > 0:
            return request.messages[-count:]
        case _:
            return request.messages
