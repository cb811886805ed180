"""What a model's answer becomes: ids, states of its calls, intents, and the text beside them."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.tool import Catalog, Contract, Tool
from sql.decisions import Elders, RunRow
from worker.coordinator.rounds import (
    LONGEST_CALL_ID,
    Asked,
    Desk,
    Spoken,
    elder_queries,
    message_content,
    parsed_arguments,
    pieces_array,
    read_calls,
    storable,
    store_round,
)
from worker.models import AskedCall, Failed, Incomplete, Turn
from worker.records import Write

NOW: Final = datetime(2026, 3, 12, tzinfo=UTC)
SCHEMA: Final = {"type": "object", "required": ["n"], "properties": {"n": {"type": "integer"}}}
ONE: Final = '{"n": 1}'
RUN: Final = RunRow(
    id="run_1",
    seq=1,
    project_id="proj",
    thread_id="thread_1",
    assistant_id="asst_1",
    status="in_progress",
    ledger="enforce",
    epoch=7,
    wakes=3,
    rounds=0,
    model_tries=0,
    expires_at=NOW,
    poisoned=False,
    correlation_id="corr",
    traceparent=None,
    model="scripted",
    prompt_tokens=0,
    completion_tokens=0,
    now=NOW,
)


def desk(**contract: Any) -> Desk:
    """A desk whose catalog has one tool, `pay`, and a safe one, `read`."""
    pay = Tool("pay", "http://tool/pay", parameters=SCHEMA, contract=Contract(timeout_s=4, **contract))
    read = Tool("read", "http://tool/read", contract=Contract(repeat="safe"))
    return Desk(Catalog({"pay": pay, "read": read}), owner="worker-a", clock_slack_s=0.5)


def asking(*calls: tuple[str, str], ids: tuple[str | None, ...] = (), **turn: Any) -> Turn:
    """A turn that asks for calls (name, arguments as text), with the provider's ids."""
    named = [*ids, *[None] * len(calls)]
    return Turn(calls=tuple(AskedCall(named[n], name, text) for n, (name, text) in enumerate(calls)), **turn)


def elders(**found: Any) -> Elders:
    """What is known of equal calls; nothing unless told."""
    nothing: dict[str, Any] = dict.fromkeys(Elders.__annotations__)
    return Elders(**{**nothing, "place": 1, "done_since_asked": False, **found})


def stored(turn: Turn, at: Desk | None = None, found: tuple[Elders, ...] = (), run: RunRow = RUN) -> Write:
    """The round as a write."""
    at = at or desk()
    return store_round(run, turn, Spoken("msg_1", "step_1"), read_calls(turn, at, set()), found, at)


def states(write: Write) -> list[tuple[str, str | None]]:
    """(state, reason) of the write's calls."""
    return [(call.state, call.reason) for call in write.calls]


def told(write: Write, index: int = 0) -> Any:
    """What the model is told of a call at once."""
    output = write.calls[index].output
    return json.loads(next(payload.bytes for payload in write.payloads if payload.id == output))


# Ids ------------------------------------------------------------------------------------------------


def test_a_providers_id_is_kept_where_it_can_be() -> None:
    [asked] = read_calls(asking(("pay", ONE), ids=("call_x",)), desk(), set())
    assert (asked.tool_call_id, asked.provider_call_id) == ("call_x", None)


@pytest.mark.parametrize("given_id", ["used", "x" * (LONGEST_CALL_ID + 1), "nul\0", "half\ud800"])
def test_an_id_that_cannot_be_a_key_is_replaced_and_kept_for_the_provider(given_id: str) -> None:
    [asked] = read_calls(asking(("pay", ONE), ids=(given_id,)), desk(), {"used"})
    assert asked.tool_call_id.startswith("call_")
    assert asked.provider_call_id == storable(given_id)


@given(st.lists(st.sampled_from(["a", "b", "", None]), min_size=1, max_size=6))
def test_ids_of_a_round_are_all_different(ids: list[str | None]) -> None:
    asked = read_calls(asking(*[("pay", ONE)] * len(ids), ids=tuple(ids)), desk(), set())
    assert len({call.tool_call_id for call in asked}) == len(ids)
    assert all(call.tool_call_id for call in asked)


def test_the_effect_key_is_of_run_round_and_index_alone() -> None:
    one, other = stored(asking(("pay", ONE), ids=("a",))), stored(asking(("pay", '{"n": 2}'), ids=("b",)))
    later = stored(asking(("pay", ONE)), run=replace(RUN, rounds=1))
    assert one.calls[0].effect_key == other.calls[0].effect_key != later.calls[0].effect_key


# States ---------------------------------------------------------------------------------------------


def test_a_servers_call_is_intended_with_the_round() -> None:
    write = stored(asking(("pay", ONE)))
    assert states(write) == [("intended", None)]
    [intent] = write.intents
    assert (intent.number, intent.epoch, intent.owner, intent.life_s) == (1, 7, "worker-a", 2 + 4 + 0.5)
    assert write.change is not None
    assert (write.change.status, write.change.more_rounds, write.change.fruitful) == ("requires_action", 1, True)
    assert (write.epoch, write.wakes, write.tools) == (7, 3, ((write.calls[0].tool_call_id, "pay"),))
    assert Contract.from_json(json.loads(write.calls[0].contract)) == desk().catalog.tools["pay"].contract


def test_a_tool_that_is_not_in_the_catalog_is_the_clients() -> None:
    write = stored(asking(("theirs", "not even json")))
    assert states(write) == [("pending", None)]
    assert (write.calls[0].executor, write.intents) == ("client", ())


@pytest.mark.parametrize("arguments", ["{", "[1]", '{"n": "one"}', "{}", '{"n": NaN}', "[" * 50_000])
def test_wrong_arguments_are_told_to_the_model_and_not_sent(arguments: str) -> None:
    write = stored(asking(("pay", arguments)))
    assert states(write) == [("failed", "invalid_arguments")]
    assert told(write)["error"]["code"] == "invalid_arguments"
    assert write.intents == ()
    assert write.change is not None
    assert write.change.status == "in_progress", "nothing to wait for"


def test_approval_comes_before_the_intent() -> None:
    write = stored(asking(("pay", ONE)), desk(approval=True))
    assert states(write) == [("needs_operator", "approval_required")]
    assert write.intents == ()
    assert write.change is not None
    assert write.change.needs_operator


@pytest.mark.parametrize(("mode", "state"), [("off", "pending"), ("observe", "intended")])
def test_modes_that_hold_nothing_back(mode: str, state: str) -> None:
    write = stored(asking(("pay", ONE), ("pay", ONE)), desk(same_request="hold"), run=replace(RUN, ledger=mode))
    assert [call.state for call in write.calls] == [state, state]


# Equal calls ----------------------------------------------------------------------------------------


def test_equals_are_asked_for_only_where_repeating_matters() -> None:
    asked = read_calls(asking(("pay", ONE), ("read", "{}"), ("theirs", "{}")), desk(), set())
    assert [query.tool for query in elder_queries(RUN, asked)] == ["pay"]


def test_equal_is_what_means_the_same() -> None:
    asked = read_calls(
        asking(("pay", '{"n": 1, "m": 2}'), ("pay", '{ "m":2.0,"n":1e0 }'), ("read", "{}")), desk(), set()
    )
    prints: list[str] = [call.fingerprint for call in asked]
    assert prints[0] == prints[1] != prints[2]


def test_a_call_is_held_by_an_equal_one_that_is_open() -> None:
    open_one = elders(open_run_id="run_0", open_call_id="call_0", open_state="in_doubt")
    write = stored(asking(("pay", ONE)), found=(open_one,))
    assert states(write) == [("held", "equal_call")]
    assert (write.calls[0].held_by_run, write.calls[0].held_by_call) == ("run_0", "call_0")
    assert write.intents == ()


@pytest.mark.parametrize(
    ("same_request", "state", "intents"),
    [("send", "intended", 1), ("reuse", "succeeded", 0), ("hold", "needs_operator", 0)],
)
def test_the_same_request_after_one_that_succeeded(same_request: str, state: str, intents: int) -> None:
    output = UUID(int=5)
    done = elders(done_run_id="run_0", done_call_id="c", done_output=output, done_external_id="T-1", done_age_s=9.0)
    write = stored(asking(("pay", ONE)), desk(same_request=same_request), (done,))
    [call] = write.calls
    assert (call.state, len(write.intents), call.suspected_duplicate) == (state, intents, True)
    assert (call.output, call.external_id) == ((output, "T-1") if same_request == "reuse" else (None, None))


def test_the_same_request_long_after_is_another() -> None:
    done = elders(done_run_id="run_0", done_call_id="c", done_output=UUID(int=5), done_age_s=601.0)
    write = stored(asking(("pay", ONE)), desk(same_request="hold"), (done,))
    assert states(write) == [("intended", None)]
    assert not write.calls[0].suspected_duplicate


@pytest.mark.parametrize(
    ("same_request", "second"), [("send", "intended"), ("reuse", "held"), ("hold", "needs_operator")]
)
def test_equal_calls_of_one_round(same_request: str, second: str) -> None:
    write = stored(asking(("pay", ONE), ("pay", ONE)), desk(same_request=same_request), (elders(), elders()))
    assert [call.state for call in write.calls] == ["intended", second]
    assert [call.suspected_duplicate for call in write.calls] == [False, True]
    if second == "held":
        assert write.calls[1].held_by_call == write.calls[0].tool_call_id


# Text and ends --------------------------------------------------------------------------------------


def test_a_text_alone_completes_the_run() -> None:
    write = stored(Turn(text="hello"))
    assert write.end is not None
    assert write.end.status == "completed"
    [message] = write.messages
    assert json.loads(message.content)[0]["text"]["value"] == "hello"
    assert [step.type for step in write.steps] == ["message_creation"]


def test_text_and_calls_are_two_steps_and_the_tokens_are_on_the_first() -> None:
    write = stored(asking(("pay", ONE), text="one moment"))
    assert [step.type for step in write.steps] == ["message_creation", "tool_calls"]
    assert write.end is None


@pytest.mark.parametrize(
    ("end", "status"),
    [(Failed("server_error", "no\0good"), "failed"), (Incomplete("max_prompt_tokens"), "incomplete")],
)
def test_other_ends_keep_the_text_so_far(end: Failed | Incomplete, status: str) -> None:
    write = stored(Turn(text="so far", end=end))
    assert write.end is not None
    assert (write.end.status, write.messages[0].status) == (status, "incomplete")
    assert "\0" not in (write.end.error_message or "")


def test_a_text_that_was_begun_is_ended_not_stored_anew() -> None:
    turn = Turn(text="so long")
    write = store_round(RUN, turn, Spoken("msg_1", "step_1", ("so ", "long"), stored=True), [], [], desk())
    assert (write.messages, write.steps) == ((), ())
    assert [(move.id, move.pieces) for move in write.message_moves] == [("msg_1", "{3,4}")]


@given(st.text())
def test_any_text_can_be_stored(text: str) -> None:
    kept = storable(text)
    assert "\0" not in kept
    kept.encode()
    assert json.loads(message_content(kept))[0]["text"]["value"] == kept
    assert len(kept) == len(text)


@given(st.lists(st.text()))
def test_pieces_are_lengths_in_code_points(pieces: list[str]) -> None:
    assert json.loads(pieces_array(pieces).replace("{", "[").replace("}", "]")) == [len(piece) for piece in pieces]


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_arguments_survive_their_storing(arguments: dict[str, Any]) -> None:
    text = json.dumps(arguments)
    asked: Asked = read_calls(asking(("pay", text)), desk(), set())[0]
    assert parsed_arguments(asked.text.encode()) == asked.arguments == arguments
    assert parsed_arguments(None) == {}
