"""What programs do with the official client, to be run by any of its versions: `python scenarios.py URL KEY`.

Prints one JSON object: the client's version, and for each scenario null or what went wrong.
"""

import json
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import openai

warnings.simplefilter("ignore", DeprecationWarning)
TOOLS = [{"type": "function", "function": {"name": name}} for name in ("a", "b")]


def script(*entries: dict) -> str:
    """A user message that tells the scripted model what to do."""
    return json.dumps({"script": list(entries)})


def calls(*names: str) -> dict:
    """An entry in which the model calls functions."""
    return {"tool_calls": [{"name": name, "arguments": {"of": name}} for name in names]}


class Program:
    """A program that holds a client and an assistant."""

    def __init__(self, url: str, key: str) -> None:
        self.client = openai.OpenAI(base_url=url, api_key=key)
        self.beta = self.client.beta
        self.assistant = self.beta.assistants.create(model="scripted", instructions="be kind", tools=TOOLS).id

    def thread(self, *texts: str) -> str:
        messages = [{"role": "user", "content": text} for text in texts]
        return self.beta.threads.create(messages=messages).id

    def run(self, thread: str, **options: object) -> object:
        return self.beta.threads.runs.create_and_poll(
            thread_id=thread, assistant_id=self.assistant, poll_interval_ms=50, **options
        )

    def answer(self, run: object, *outputs: str) -> object:
        asked = run.required_action.submit_tool_outputs.tool_calls
        return self.beta.threads.runs.submit_tool_outputs_and_poll(
            run_id=run.id,
            thread_id=run.thread_id,
            poll_interval_ms=50,
            tool_outputs=[
                {"tool_call_id": call.id, "output": output} for call, output in zip(asked, outputs, strict=True)
            ],
        )

    def last_text(self, thread: str) -> str:
        newest = self.beta.threads.messages.list(thread, limit=1).data[0]
        return newest.content[0].text.value


def echo(program: Program) -> None:
    thread = program.thread("hello \U0001f600")
    run = program.run(thread)
    assert run.status == "completed", run
    assert program.last_text(thread) == "hello \U0001f600"
    assert run.usage.total_tokens == run.usage.prompt_tokens + run.usage.completion_tokens > 0
    assert (run.required_action, run.expires_at, run.last_error) == (None, None, None)
    newest = program.beta.threads.messages.list(thread, run_id=run.id).data
    assert [(one.role, one.run_id, one.assistant_id, one.status) for one in newest] == [
        ("assistant", run.id, program.assistant, "completed")
    ]


def two_rounds_of_tools(program: Program) -> None:
    thread = program.thread(script(calls("a", "b"), calls("c"), {"say": "{{outputs.0}} after {{all_outputs}}"}))
    run = program.run(thread)
    assert run.status == "requires_action", run
    asked = run.required_action.submit_tool_outputs.tool_calls
    assert [(call.function.name, call.function.arguments) for call in asked] == [
        ("a", '{"of":"a"}'),
        ("b", '{"of":"b"}'),
    ]
    run = program.answer(run, "1", "2")
    assert run.status == "requires_action", run
    assert [call.function.name for call in run.required_action.submit_tool_outputs.tool_calls] == ["c"]
    run = program.answer(run, "3")
    assert run.status == "completed", run
    assert program.last_text(thread) == '3 after ["1","2","3"]'
    steps = list(program.beta.threads.runs.steps.list(run.id, thread_id=thread, order="asc"))
    assert [(step.type, step.status) for step in steps] == [
        ("tool_calls", "completed"),
        ("tool_calls", "completed"),
        ("message_creation", "completed"),
    ]
    assert [call.function.output for call in steps[0].step_details.tool_calls] == ["1", "2"]
    assert program.beta.threads.runs.steps.retrieve(steps[2].id, thread_id=thread, run_id=run.id).usage


def resubmission_after_the_end(program: Program) -> None:
    thread = program.thread(script(calls("a"), {"say": "{{outputs.0}}"}))
    run = program.run(thread)
    done = program.answer(run, "only once")
    assert done.status == "completed", done
    assert program.answer(run, "only once").status == "completed"
    assert len(list(program.beta.threads.messages.list(thread))) == 2


def create_and_run(program: Program) -> None:
    run = program.beta.threads.create_and_run_poll(
        assistant_id=program.assistant,
        poll_interval_ms=50,
        thread={"messages": [{"role": "user", "content": script({"say": "{{instructions}}|{{tools}}"})}]},
    )
    assert run.status == "completed", run
    assert program.last_text(run.thread_id) == "be kind|a,b"


def truncation(program: Program) -> None:
    texts = [script({"say": "{{message_count}}"}), "two", script({"say": "{{message_count}}"})]
    for strategy, count in (({"type": "auto"}, "3"), ({"type": "last_messages", "last_messages": 2}, "2")):
        thread = program.thread(*texts)
        run = program.run(thread, truncation_strategy=strategy)
        assert run.status == "completed", run
        assert program.last_text(thread) == count, (strategy, program.last_text(thread))


def failures(program: Program) -> None:
    run = program.run(program.thread(script({"fail": {"code": "rate_limit_exceeded", "message": "no"}})))
    assert (run.status, run.last_error.code, run.last_error.message) == ("failed", "rate_limit_exceeded", "no")
    run = program.run(program.thread(script({"say": "cut", "incomplete": "max_completion_tokens"})))
    assert (run.status, run.incomplete_details.reason) == ("incomplete", "max_completion_tokens")
    newest = program.beta.threads.messages.list(run.thread_id, limit=1).data[0]
    assert (newest.status, newest.incomplete_details.reason) == ("incomplete", "max_tokens")
    run = program.run(program.thread("x"), model="no-provider-serves-this")
    assert (run.status, run.last_error.code) == ("failed", "invalid_prompt")
    assert "no-provider-serves-this" in run.last_error.message


def cancel_frees_the_thread(program: Program) -> None:
    thread = program.thread(script({"say": "late", "delay_ms": 60000}))
    runs = program.beta.threads.runs
    run = runs.create(thread_id=thread, assistant_id=program.assistant)
    begin = time.monotonic()
    runs.cancel(run.id, thread_id=thread)
    run = runs.poll(run.id, thread_id=thread, poll_interval_ms=50)
    assert run.status == "cancelled" and run.cancelled_at, run
    assert time.monotonic() - begin < 5
    program.beta.threads.messages.create(thread, role="user", content="again")
    assert program.run(thread).status == "completed"
    assert program.last_text(thread) == "again"


def unanswered_calls_do_not_lock_the_thread(program: Program) -> None:
    thread = program.thread(script(calls("a"), {"say": "never"}))
    run = program.run(thread)
    program.beta.threads.runs.cancel(run.id, thread_id=thread)
    [step] = program.beta.threads.runs.steps.list(run.id, thread_id=thread)
    assert (step.status, step.step_details.tool_calls[0].function.output) == ("cancelled", None)
    program.beta.threads.messages.create(thread, role="user", content="next")
    assert program.run(thread).status == "completed"
    assert program.last_text(thread) == "next"


def expiry(program: Program) -> None:
    thread = program.thread(script(calls("a")))
    run = program.run(thread, extra_body={"expires_in_seconds": 2})
    assert run.status == "requires_action", run
    give_up = time.monotonic() + 10
    while run.status == "requires_action":
        assert time.monotonic() < give_up
        run = program.beta.threads.runs.retrieve(run.id, thread_id=thread)
    assert (run.status, run.required_action) == ("expired", None)
    assert run.expires_at
    program.beta.threads.messages.create(thread, role="user", content="usable")


def errors_are_the_clients_classes(program: Program) -> None:
    threads = program.beta.threads
    thread = program.thread("x")
    expect(
        openai.NotFoundError, "No run found with id 'run_0'.", lambda: threads.runs.retrieve("run_0", thread_id=thread)
    )
    expect(openai.NotFoundError, "No thread found", lambda: threads.retrieve("thread_0"))
    wrong = expect(openai.BadRequestError, "metadata", lambda: threads.create(metadata={"k": "v" * 600}))
    assert (wrong.param, wrong.code) == ("metadata", "string_above_max_length")
    assert wrong.request_id.startswith("req_")
    stranger = openai.OpenAI(base_url=str(program.client.base_url), api_key="cf_wrong")
    expect(openai.AuthenticationError, "Incorrect API key", stranger.models.list)
    run = threads.runs.create(thread_id=program.thread(script(calls("a"))), assistant_id=program.assistant)
    busy = expect(
        openai.BadRequestError,
        f"Thread {run.thread_id} already has an active run {run.id}.",
        lambda: threads.runs.create(thread_id=run.thread_id, assistant_id=program.assistant),
    )
    assert busy.code is None
    expect(
        openai.BadRequestError,
        f"Can't add messages to {run.thread_id} while a run {run.id} is active.",
        lambda: threads.messages.create(run.thread_id, role="user", content="x"),
    )


def expect(kind: type, text: str, action: Callable[[], object]) -> Exception:
    """The exception that the client raises."""
    try:
        action()
    except kind as error:
        assert text in str(error), error
        return error
    raise AssertionError(f"no {kind.__name__}")


def fifty_threads_at_once(program: Program) -> None:
    def one(number: int) -> str:
        thread = program.thread(script(calls("a"), {"say": "{{outputs.0}}"}))
        run = program.answer(program.run(thread), str(number))
        assert run.status == "completed", run
        return program.last_text(thread)

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(one, range(50))) == [str(number) for number in range(50)]


def updates_and_lists(program: Program) -> None:
    threads = program.beta.threads
    thread = program.thread("x")
    run = program.run(thread, metadata={"a": "b"})
    assert threads.runs.update(run.id, thread_id=thread, metadata={"c": "d"}).metadata == {"c": "d"}
    assert [one.id for one in threads.runs.list(thread)] == [run.id]
    assert threads.update(thread, metadata={"e": "f"}).metadata == {"e": "f"}
    assert program.beta.assistants.update(program.assistant, name="new").name == "new"
    assert program.assistant in [one.id for one in program.beta.assistants.list(limit=1)]
    assert "scripted" in [one.id for one in program.client.models.list()]
    assert threads.delete(thread).deleted


SCENARIOS = (
    echo,
    two_rounds_of_tools,
    resubmission_after_the_end,
    create_and_run,
    truncation,
    failures,
    cancel_frees_the_thread,
    unanswered_calls_do_not_lock_the_thread,
    expiry,
    errors_are_the_clients_classes,
    fifty_threads_at_once,
    updates_and_lists,
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
