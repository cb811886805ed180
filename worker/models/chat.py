"""The provider `chat`: any server that speaks Chat Completions, over HTTP.

One request, one answer: the coordinator decides whether to ask again, so nothing here retries. A request to a
model has no side effect, which makes asking again always safe.
"""

import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any, Final

import aiohttp
from yarl import URL

from app.catalog import ModelEntry
from worker.models import ModelUnavailable, OnText, Turn, TurnRequest
from worker.models.chat_body import chat_body, spent
from worker.models.completion import Completion
from worker.models.event_stream import EventStream
from worker.models.failure import failure, failure_in_answer

ANSWER_LIMIT_BYTES: Final = 8 * 1024 * 1024
ERROR_LIMIT_BYTES: Final = 64 * 1024
END_OF_STREAM: Final = "[DONE]"
# What a connection may raise; a ValueError is a header or address that cannot be sent.
BROKEN: Final = (aiohttp.ClientError, OSError, ValueError)


class Chat:
    """Serves the models of one catalog entry."""

    def __init__(self, entry: ModelEntry) -> None:
        base = URL(entry.base_url)
        self._url = base.joinpath("chat", "completions").with_query(base.query)
        self._entry = entry
        self._key = (entry.api_key or "").strip()
        self._session: aiohttp.ClientSession | None = None

    async def ask(self, request: TurnRequest, on_text: OnText | None = None) -> Turn:
        """One request to the provider, streamed when somebody listens; at most the entry's `timeout_s` long."""
        if (end := spent(request)) is not None:
            return Turn(end=end)
        model = self._entry.model or request.model
        response = await self._post(chat_body(request, model, stream=on_text is not None), request)
        async with response:
            if response.status != HTTPStatus.OK:
                return await self._failed(response, model)
            if on_text is not None and "json" not in response.content_type:
                return await self._follow(response, model, on_text)
            return await self._read(response, model, on_text)

    async def close(self) -> None:
        """Closes the connections; a later `ask` opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _post(self, body: dict[str, Any], request: TurnRequest) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json", "User-Agent": "counterfoil"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if request.traceparent:
            headers["traceparent"] = request.traceparent
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        try:
            # No redirects: they would carry the key to another host.
            return await self._connected().post(self._url, data=data, headers=headers, allow_redirects=False)
        except BROKEN as error:
            raise self._broken(error) from error

    def _connected(self) -> aiohttp.ClientSession:
        # Made at the first use, since a session belongs to a running loop. As many connections as there are
        # runs that ask: the worker's slots are the limit.
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=self._entry.timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _read(self, response: aiohttp.ClientResponse, model: str, on_text: OnText | None) -> Turn:
        """An answer in one piece, which a server may also give when asked for a stream."""
        body = b"".join([chunk async for chunk in self._chunks(response, ANSWER_LIMIT_BYTES)])
        completion = Completion()
        answer = _parsed(body.decode(errors="replace"))
        if answer.get("error"):
            return self._refused(answer["error"], model)
        told = completion.take(answer) + completion.rest()
        turn = completion.turn()
        if on_text is not None and turn.text is not None:
            await on_text(told)
        return turn

    async def _follow(self, response: aiohttp.ClientResponse, model: str, on_text: OnText) -> Turn:
        """An answer in pieces; whoever listens hears each as it comes."""
        completion = Completion()
        heard = False
        async for data in self._events(response):
            if data == END_OF_STREAM:
                break
            chunk = _parsed(data)
            if chunk.get("error"):
                return self._refused(chunk["error"], model)
            if told := completion.take(chunk):
                heard = True
                await on_text(told)
        else:
            if completion.finish is None:
                raise ModelUnavailable("the provider's answer broke off")
        told = completion.rest()
        turn = completion.turn()
        # A text has at least one piece, also an empty one.
        if told or (turn.text is not None and not heard):
            await on_text(told)
        return turn

    async def _events(self, response: aiohttp.ClientResponse) -> AsyncIterator[str]:
        stream = EventStream()
        async for chunk in self._chunks(response, ANSWER_LIMIT_BYTES):
            for data in filter(str.strip, stream.feed(chunk)):
                yield data.strip()
        for data in filter(str.strip, stream.end()):
            yield data.strip()

    async def _chunks(self, response: aiohttp.ClientResponse, limit_bytes: int) -> AsyncIterator[bytes]:
        """The body as it comes in. Only reading is guarded: what a listener raises is its own matter."""
        count = 0
        chunks = response.content.iter_any()
        while True:
            try:
                chunk = await anext(chunks, b"")
            except BROKEN as error:
                raise self._broken(error) from error
            if not chunk:
                return
            count += len(chunk)
            if count > limit_bytes:
                raise ModelUnavailable(f"the provider's answer is longer than {limit_bytes} bytes")
            yield chunk

    async def _failed(self, response: aiohttp.ClientResponse, model: str) -> Turn:
        body = b""
        try:
            async for chunk in self._chunks(response, ERROR_LIMIT_BYTES):
                body += chunk
        except ModelUnavailable:
            pass  # The status says enough.
        headers = {name.lower(): value for name, value in response.headers.items()}
        return _ended(failure(response.status, headers, body, model, self._key))

    def _refused(self, error: object, model: str) -> Turn:
        return _ended(failure_in_answer(error, model, self._key))

    def _broken(self, error: Exception) -> ModelUnavailable:
        """In our own words: the error's may hold the address."""
        match error:
            case TimeoutError():
                return ModelUnavailable(f"the provider did not answer within {self._entry.timeout_s:g} s")
            case aiohttp.ClientConnectorError():
                return ModelUnavailable("the provider cannot be reached")
            case _:
                return ModelUnavailable(f"the exchange with the provider broke off ({type(error).__name__})")


def _ended(judged: Any) -> Turn:
    if isinstance(judged, ModelUnavailable):
        raise judged
    return Turn(end=judged)


def _parsed(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ModelUnavailable("the provider's answer is no JSON object")
    return value
