"""What programs do with the official client's stream helpers, by any of its versions: `python FILE URL KEY`.

Prints one JSON object: the client's version, and for each scenario null or what went wrong.
"""

import json
import sys
import traceback
import warnings
from collections.abc import Callable

import openai
from openai import AssistantEventHandler

warnings.simplefilter("ignore", DeprecationWarning)
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]
LONG = {"text": "a rather long argument " * 10}


def script(*entries: dict) -> str:
    """A user message that tells the scripted model what to do."""
    return json.dumps({"script": list(entries)})


def calls(*names: str) -> dict:
    """An entry in which the model calls functions."""
    return {"tool_calls": [{"name": name, "arguments": LONG} for name in names]}


class Notes(AssistantEventHandler):
    """Notes what the helper tells."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self.texts: list[str] = []
        self.deltas: list[str] = []
        self.calls: list[object] = []
        self.error: Exception | None = None

    def on_text_delta(self, delta: object, snapshot: object) -> None:
        self.deltas.append(delta.value)
        assert snapshot.value == "".join(self.deltas)

    def on_text_done(self, text: object) -> None:
        self.texts.append(text.value)

    def on_tool_call_created(self, tool_call: object) -> None:
        self.heard.append(f"created {tool_call.function.name}")

    def on_tool_call_done(self, tool_call: object) -> None:
        self.calls.append(tool_call)

    def on_message_done(self, message: object) -> None:
        self.heard.append("message")

    def on_run_step_done(self, run_step: object) -> None:
        self.heard.append(f"step {run_step.type}")

    def on_end(self) -> None:
        self.heard.append("end")

    def on_exception(self, exception: Exception) -> None:
        self.error = exception


class Program:
    """A program that holds a client and an assistant."""

    def __init__(self, url: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=url, api_key=key)
        self.threads = self.client.beta.threads
        self.runs = self.threads.runs
        self.assistant = self.client.beta.assistants.create(model="scripted", tools=TOOLS).id

    def thread(self, *entries: dict) -> str:
        return self.threads.create(messages=[{"role": "user", "content": script(*entries)}]).id

    def stream(self, *entries: dict, **more: object) -> tuple:
        """Streams a run on a new thread to its end: what was noted, and the final run."""
        notes = Notes()
        thread = self.thread(*entries)
        with self.runs.stream(thread_id=thread, assistant_id=self.assistant, event_handler=notes, **more) as stream:
            stream.until_done()
            return notes, stream.get_final_run()

    def answer(self, run: object, *outputs: str) -> tuple:
        """Hands outputs in by the streaming helper."""
        notes = Notes()
        asked = run.required_action.submit_tool_outputs.tool_calls
        answers = [{"tool_call_id": c.id, "output": o} for c, o in zip(asked, outputs, strict=True)]
        with self.runs.submit_tool_outputs_stream(
            run_id=run.id, thread_id=run.thread_id, tool_outputs=answers, event_handler=notes
        ) as stream:
            stream.until_done()
            return notes, stream.get_final_run()


def a_text_is_heard_as_it_comes(program: Program) -> None:
    text = "one\u2028two\u0085three\x0b\x1c \U0001f600 " * 20
    notes, run = program.stream({"say": text, "chunk_ms": 10})
    assert run.status == "completed", run
    assert len(notes.deltas) > 5
    assert notes.texts == ["".join(notes.deltas)] == [text], notes.texts
    assert notes.heard == ["message", "step message_creation", "end"], notes.heard


def create_and_run_stream(program: Program) -> None:
    with program.threads.create_and_run_stream(
        assistant_id=program.assistant, thread={"messages": [{"role": "user", "content": "hello"}]}
    ) as stream:
        events = [event.event for event in stream]
        assert "".join(stream.get_final_messages()[0].content[0].text.value) == "hello"
        assert [step.type for step in stream.get_final_run_steps()] == ["message_creation"]
    assert events[:2] == ["thread.created", "thread.run.created"], events
    assert events[-1] == "thread.run.completed", events


def text_deltas_iterate(program: Program) -> None:
    thread = program.thread({"say": "abc " * 50})
    with program.runs.stream(thread_id=thread, assistant_id=program.assistant) as stream:
        assert "".join(stream.text_deltas) == "abc " * 50


def plain_stream_parameter(program: Program) -> None:
    thread = program.thread({"say": "x"})
    events = list(program.runs.create(thread_id=thread, assistant_id=program.assistant, stream=True))
    assert [event.event for event in events][-1] == "thread.run.completed"
    assert {type(event).__name__ for event in events if "delta" in event.event} == {"ThreadMessageDelta"}


def two_rounds_of_tools(program: Program) -> None:
    notes, run = program.stream({"say": "asking", **calls("a", "b")}, calls("b"), {"say": "{{all_outputs}}"})
    assert run.status == "requires_action", run
    asked = run.required_action.submit_tool_outputs.tool_calls
    assert [(c.id, c.function.name, c.function.arguments) for c in notes.calls] == [
        (c.id, c.function.name, json.dumps(LONG, separators=(",", ":"))) for c in asked
    ], notes.calls
    assert notes.heard[:2] == ["message", "step message_creation"], notes.heard
    notes, run = program.answer(run, "1", "2")
    assert run.status == "requires_action", run
    assert "step tool_calls" in notes.heard, notes.heard
    notes, run = program.answer(run, "3")
    assert run.status == "completed", run
    assert notes.texts == ['["1","2","3"]'], notes.texts


def server_calls_need_no_client(program: Program) -> None:
    tool = {"name": "create_ticket", "arguments": {"title": "streamed"}}
    notes, run = program.stream({"tool_calls": [tool]}, {"say": "{{outputs.0}}"})
    assert run.status == "completed", run
    assert "ticket_id" in notes.texts[0]
    assert notes.heard.index("step tool_calls") < notes.heard.index("message"), notes.heard
    notes, run = program.stream({"tool_calls": [tool, *calls("a")["tool_calls"]]}, {"say": "{{outputs.1}}"})
    assert run.status == "requires_action", run
    assert [c.function.name for c in run.required_action.submit_tool_outputs.tool_calls] == ["a"]
    assert [c.function.name for c in notes.calls] == ["create_ticket", "a"], notes.calls
    notes, run = program.answer(run, "mine")
    assert (run.status, notes.texts) == ("completed", ["mine"])


def the_ends(program: Program) -> None:
    _, run = program.stream({"fail": {"code": "rate_limit_exceeded", "message": "no"}})
    assert (run.status, run.last_error.message) == ("failed", "no")
    notes, run = program.stream({"say": "cut off", "incomplete": "max_completion_tokens"})
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
    assert notes.texts == ["cut off"]
    _, run = program.stream({"say": "never", "delay_ms": 60000}, extra_body={"expires_in_seconds": 1})
    assert run.status == "expired", run


def cancel_from_elsewhere(program: Program) -> None:
    thread = program.thread({"say": "slow " * 300, "chunk_ms": 300})
    seen = []
    with program.runs.stream(thread_id=thread, assistant_id=program.assistant) as stream:
        for event in stream:
            if event.event == "thread.message.delta" and not seen:
                program.runs.cancel(event_run(stream), thread_id=thread)
            seen += [event.event] if "delta" in event.event else []
            last = event.event
        assert stream.get_final_run().status == "cancelled"
    assert last == "thread.run.cancelled", last


def event_run(stream: object) -> str:
    """The id of the run that a stream is about."""
    return stream.current_run.id


def leaving_changes_nothing(program: Program) -> None:
    thread = program.thread({"say": "to the end", "delay_ms": 300})
    with program.runs.stream(thread_id=thread, assistant_id=program.assistant) as stream:
        next(iter(stream))
    [run] = program.runs.list(thread)
    run = program.runs.poll(run.id, thread_id=thread, poll_interval_ms=50)
    assert run.status == "completed", run


def a_key_replays(program: Program) -> None:
    thread = program.thread({"say": "once"})
    key = {"Idempotency-Key": f"stream of {thread}"}
    found = []
    for _ in range(2):
        notes = Notes()
        with program.runs.stream(
            thread_id=thread, assistant_id=program.assistant, event_handler=notes, extra_headers=key
        ) as stream:
            stream.until_done()
            found.append((stream.get_final_run().id, notes.texts))
    assert found[0] == found[1], found


def errors_are_raised(program: Program) -> None:
    try:
        with program.runs.stream(thread_id="thread_0", assistant_id=program.assistant) as stream:
            stream.until_done()
    except openai.NotFoundError as error:
        assert "No thread found" in str(error)
        return
    raise AssertionError("no error")


SCENARIOS = (
    a_text_is_heard_as_it_comes,
    create_and_run_stream,
    text_deltas_iterate,
    plain_stream_parameter,
    two_rounds_of_tools,
    server_calls_need_no_client,
    the_ends,
    cancel_from_elsewhere,
    leaving_changes_nothing,
    a_key_replays,
    errors_are_raised,
)


def outcome(scenario: Callable[[Program], None], program: Program) -> str | None:
    """Null, or the traceback."""
    try:
        scenario(program)
    except Exception:
        return traceback.format_exc()
    return None


if __name__ == "__main__":
    program = Program(*sys.argv[1:3])
    found = {scenario.__name__: outcome(scenario, program) for scenario in SCENARIOS}
    print(json.dumps({"version": openai.__version__, "scenarios": found}))
