"""The provider `assistants`: a remote service of the Assistants form, which keeps the state of the run itself.

A run of ours is a run there, on a thread of its own, with our run's id in its metadata. Each round of ours is
the remote run until it asks for tools or ends; tools go through our ledger. Nothing that a lost answer may have
done is done again before a look: a run is found by its metadata, a batch that was handed in by what the run asks.
"""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final, Protocol

import aiohttp
from yarl import URL

from app.catalog import ModelEntry
from worker.models import AskedCall, Failed, Incomplete, ModelUnavailable, OnText, Turn, TurnRequest, Usage
from worker.models.context import UNANSWERED, visible_messages
from worker.models.failure import failure, readable

MARK: Final = "counterfoil_run"
ACTIVE: Final = frozenset({"queued", "in_progress", "cancelling"})
PACE_S: Final = 2.0
LONGEST_PACE_S: Final = 60.0
# So often a look may fail in a row before the turn counts as one that the provider did not answer.
LOOKS: Final = 5
ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
CODES: Final = frozenset({"server_error", "rate_limit_exceeded", "invalid_prompt"})
REASONS: Final = frozenset({"max_completion_tokens", "max_prompt_tokens"})
# Sent along unless they have the API's default.
SETTINGS: Final[dict[str, Any]] = {
    "temperature": 1.0,
    "top_p": 1.0,
    "max_prompt_tokens": None,
    "max_completion_tokens": None,
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "response_format": "auto",
    "reasoning_effort": None,
}
BROKEN: Final = (aiohttp.ClientError, OSError, ValueError)


class RemoteThreads(Protocol):
    """Remembers the remote thread of each run, across workers."""

    async def thread_of(self, run_id: str) -> str | None:
        """The remote thread of a run, None before there is one."""
        ...

    async def keep(self, run_id: str, thread_id: str) -> str:
        """Keeps a run's remote thread; answers the one that is kept, which another worker may have made."""
        ...

    async def close(self) -> None:
        """Ends its connections."""
        ...


class Refused(Exception):
    """The service answered that it will not, and the status with which it did."""

    def __init__(self, status: int, end: Failed) -> None:
        super().__init__(end.message)
        self.status = status
        self.end = end


class Assistants:
    """Serves the models of one catalog entry; `model` names the assistant there, such as `asst_…`."""

    def __init__(self, entry: ModelEntry, threads: RemoteThreads) -> None:
        self._entry = entry
        self._threads = threads
        self._base = URL(entry.base_url)
        self._key = (entry.api_key or "").strip()
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, request: TurnRequest, on_text: OnText | None = None) -> Turn:
        """Follows the remote run to its next batch of calls, or to its end, however long that takes."""
        try:
            thread = await self._thread(request)
            run = await self._run(thread, request)
            turn = await self._follow(thread, run, request)
        except Refused as refused:
            return Turn(end=refused.end)
        if on_text is not None and turn.text is not None:
            await on_text(turn.text)
        return turn

    async def close(self) -> None:
        """Closes the connections; a later `ask` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    # Where the run is -------------------------------------------------------------------------------

    async def _thread(self, request: TurnRequest) -> str:
        """The remote thread. One whose making was not heard of stays empty over there, and harms nobody."""
        kept = await self._threads.thread_of(request.run_id)
        if kept is not None:
            return kept
        messages = [
            {"role": message.role, "content": message.text}
            for message in visible_messages(request)
            if message.text and message.run_id != request.run_id
        ]
        made, _ = await self._call("POST", "threads", {"messages": messages, "metadata": {MARK: request.run_id}})
        return await self._threads.keep(request.run_id, str(made["id"]))

    async def _run(self, thread: str, request: TurnRequest) -> dict[str, Any]:
        """The remote run: found by our run's id in its metadata, and made only if it is not there."""
        found = await self._find(thread, request)
        if found is not None:
            return found
        try:
            made, _ = await self._call("POST", f"threads/{thread}/runs", self._asked(request))
            return made
        except (ModelUnavailable, Refused):
            # Lost on its way back, or another worker of ours was quicker: then it is there now.
            found = await self._find(thread, request)
            if found is None:
                raise
            return found

    async def _find(self, thread: str, request: TurnRequest) -> dict[str, Any] | None:
        listed, _ = await self._call("GET", f"threads/{thread}/runs?order=asc&limit=100")
        ours = (run for run in listed["data"] if (run.get("metadata") or {}).get(MARK) == request.run_id)
        return next(ours, None)

    def _asked(self, request: TurnRequest) -> dict[str, Any]:
        body: dict[str, Any] = {
            "assistant_id": self._entry.model or request.model,
            "tools": list(request.tools),
            "metadata": {MARK: request.run_id},
        }
        if request.instructions is not None:
            body["instructions"] = request.instructions
        told = {name: request.settings.get(name) for name in SETTINGS}
        return body | {name: value for name, value in told.items() if value not in (None, SETTINGS[name])}

    # The turn ---------------------------------------------------------------------------------------

    async def _follow(self, thread: str, run: dict[str, Any], request: TurnRequest) -> Turn:
        pace_s = 0.0
        path = f"threads/{thread}/runs/{run['id']}"
        while True:
            status = run.get("status")
            if status == "requires_action":
                calls = calls_in(run)
                outputs = outputs_for(calls, request)
                if outputs is None:
                    return Turn(await self._text(path, request.turn), calls)
                run = await self._hand_in(path, outputs, calls)
            elif status not in ACTIVE:
                return ended(run, await self._text(path, request.turn))
            else:
                await asyncio.sleep(pace_s)
                run, pace_s = await self._look(path)

    async def _hand_in(self, path: str, outputs: list[dict[str, str]], calls: Sequence[AskedCall]) -> dict[str, Any]:
        """Hands a batch in, once; if nobody can say whether it arrived, the run itself does."""
        try:
            run, _ = await self._call("POST", f"{path}/submit_tool_outputs", {"tool_outputs": outputs})
        except (ModelUnavailable, Refused):
            run, _ = await self._look(path)
            if run.get("status") == "requires_action" and calls_in(run) == tuple(calls):
                raise
        return run

    async def _look(self, path: str) -> tuple[dict[str, Any], float]:
        """The run as it is now, and for how many seconds to leave it alone."""
        for number in range(1, LOOKS + 1):
            try:
                run, headers = await self._call("GET", path)
                return run, pace_of(headers)
            except ModelUnavailable as unavailable:
                if number == LOOKS:
                    raise
                await asyncio.sleep(unavailable.retry_after_s or PACE_S * number / LOOKS)
        raise AssertionError("unreachable")

    async def _text(self, path: str, turn: int) -> str | None:
        """What the model said in this turn: the messages between one batch of calls and the next."""
        steps: list[dict[str, Any]] = []
        more, after = True, ""
        while more:
            page, _ = await self._call("GET", f"{path}/steps?order=asc&limit=100{after}")
            steps += page["data"]
            more, after = bool(page.get("has_more")) and bool(page["data"]), f"&after={page.get('last_id')}"
        thread = path.partition("/runs/")[0]
        texts = []
        for id in messages_of(steps, turn):
            message, _ = await self._call("GET", f"{thread}/messages/{id}")
            texts += [part["text"]["value"] for part in message["content"] if part.get("type") == "text"]
        return "\n\n".join(texts) if texts else None

    # The wire ---------------------------------------------------------------------------------------

    async def _call(self, method: str, path: str, body: object = None) -> tuple[dict[str, Any], dict[str, str]]:
        """One request; the answer's object and headers. Raises `ModelUnavailable` or `Refused`."""
        headers = {"OpenAI-Beta": "assistants=v2", "User-Agent": "counterfoil", "Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        try:
            url = self._base.joinpath(*path.partition("?")[0].split("/")).with_query(path.partition("?")[2])
            async with self._connected().request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                content = await response.content.read(ANSWER_LIMIT_BYTES + 1)
                while len(content) <= ANSWER_LIMIT_BYTES and (chunk := await response.content.read(65536)):
                    content += chunk
        except TimeoutError as error:
            raise ModelUnavailable(f"the provider did not answer within {self._entry.timeout_s:g} s") from error
        except BROKEN as error:
            reason = f"the exchange with the provider broke off ({type(error).__name__})"
            raise ModelUnavailable(reason) from error
        found = {name.lower(): value for name, value in response.headers.items()}
        if response.status != 200:
            self._refuse(response.status, found, content)
        return parsed(content), found

    def _refuse(self, status: int, headers: dict[str, str], content: bytes) -> None:
        judged = failure(status, headers, content, self._entry.model or self._entry.pattern, self._key)
        if isinstance(judged, ModelUnavailable):
            raise judged
        raise Refused(status, judged)

    def _connected(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self._entry.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def calls_in(run: dict[str, Any]) -> tuple[AskedCall, ...]:
    """The calls that a remote run waits for, in its order."""
    asked = run["required_action"]["submit_tool_outputs"]["tool_calls"]
    return tuple(AskedCall(one["id"], one["function"]["name"], one["function"]["arguments"]) for one in asked)


def outputs_for(calls: Sequence[AskedCall], request: TurnRequest) -> list[dict[str, str]] | None:
    """The outputs of these calls, if they are the batch of our last round; None for calls that are new to us."""
    last = {
        call.provider_call_id or call.tool_call_id: call.output
        for call in request.calls
        if call.run_id == request.run_id and call.round == request.turn - 1
    }
    if {call.provider_id for call in calls} != set(last):
        return None
    told = [(str(call.provider_id), last[str(call.provider_id)]) for call in calls]
    return [{"tool_call_id": id, "output": UNANSWERED if output is None else output} for id, output in told]


def messages_of(steps: Sequence[dict[str, Any]], turn: int) -> list[str]:
    """The ids of the messages that were written in a turn: after so many batches of calls, before the next."""
    batches, found = 0, []
    for step in steps:
        if step["type"] == "tool_calls":
            batches += 1
        elif batches == turn:
            found.append(str(step["step_details"]["message_creation"]["message_id"]))
    return found


def ended(run: dict[str, Any], text: str | None) -> Turn:
    """How a remote run's end ends ours. Raises `ModelUnavailable` for a status that nobody knows."""
    used = run.get("usage") or {}
    usage = Usage(int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0))
    match run.get("status"):
        case "completed":
            return Turn(text, usage=usage)
        case "incomplete":
            reason = (run.get("incomplete_details") or {}).get("reason")
            known = reason if reason in REASONS else "max_completion_tokens"
            return Turn(text, usage=usage, end=Incomplete(known))
        case "failed":
            error = run.get("last_error") or {}
            code = error.get("code")
            said = readable(error.get("message"), None) or "the remote run failed"
            return Turn(text, usage=usage, end=Failed(code if code in CODES else "server_error", said))
        case "expired" | "cancelled" as word:
            return Turn(text, usage=usage, end=Failed("server_error", f"the remote run was {word}"))
        case other:
            raise ModelUnavailable(f"the remote run has a status that is none: {readable(other, None)}")


def pace_of(headers: dict[str, str]) -> float:
    """Seconds until the next look: what the service asks for, else two."""
    hint = headers.get("openai-poll-after-ms", "")
    return min(int(hint) / 1000, LONGEST_PACE_S) if hint.isascii() and hint.isdigit() else PACE_S


def parsed(content: bytes) -> dict[str, Any]:
    """An answer's object. Raises `ModelUnavailable`."""
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if len(content) > ANSWER_LIMIT_BYTES or not isinstance(value, dict):
        raise ModelUnavailable("the provider's answer is no JSON object")
    return value
