"""What the API answers when it does not do what was asked: a tree of errors, one docstring a message.

    ApiError
    ├── BadRequest (400)    InvalidType, MissingParameter, TooLong, TooMany, TooSmall, TooLarge, InvalidValue,
    │   │                   UnsupportedTool, UnsupportedContent, WrongBeta, KeyReused
    │   └── WrongState      ThreadBusy, ThreadHasRun, OutputsNotAwaited, OutputsMismatch, RunEnded
    ├── KeyMissing, KeyUnknown, BadSignature (401)
    ├── NotFound (404)      NoSuchRoute, NoSuchCall
    ├── WrongMethod (405)
    ├── StillRunning (409)  only for a key whose first request is still being processed
    ├── BodyTooLarge, EventTooLarge (413)
    └── ServerError (500)   Unavailable (503)

Status choice is behaviour: clients resend by themselves on 408, 409, 429 and every 5xx.
"""

import inspect
import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar


class ApiError(Exception):
    """Something went wrong."""

    status: ClassVar[int] = 400
    type: ClassVar[str] = "invalid_request_error"
    code: ClassVar[str | None] = None
    headers: Mapping[str, str] = MappingProxyType({})
    form: ClassVar[str] = "Something went wrong."

    def __init_subclass__(cls) -> None:
        cls.form = " ".join((inspect.getdoc(cls) or "").split())

    def __init__(self, *, param: str | None = None, **fields: object) -> None:
        super().__init__(self.form.format(**fields))
        self.param = param

    def envelope(self) -> dict[str, Any]:
        """The body of the answer."""
        return {
            "error": {
                "message": str(self),
                "type": type(self).type,
                "param": self.param,
                "code": type(self).code,
            }
        }


class BadRequest(ApiError):
    """{problem}"""


class InvalidType(BadRequest):
    """Invalid type for '{field}': {problem}."""

    code = "invalid_type"


class MissingParameter(BadRequest):
    """Missing required parameter: '{field}'."""

    code = "missing_required_parameter"


class TooLong(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "string_above_max_length"


class TooMany(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "array_above_max_length"


class TooSmall(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "integer_below_min_value"


class TooLarge(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "integer_above_max_value"


class InvalidValue(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "invalid_value"


class UnsupportedTool(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "unsupported_tool"


class UnsupportedContent(BadRequest):
    """Invalid '{field}': {problem}."""

    code = "unsupported_content_type"


class WrongBeta(BadRequest):
    """This server speaks version 2 of the API only: send the header 'OpenAI-Beta: assistants=v2'."""

    code = "invalid_beta"


class KeyReused(BadRequest):
    """This Idempotency-Key was used with another request."""

    code = "idempotency_key_reused"


class WrongState(BadRequest):
    """What was asked does not fit the state of its object."""


class ThreadBusy(WrongState):
    """Can't add messages to {thread_id} while a run {run_id} is active."""


class ThreadHasRun(WrongState):
    """Thread {thread_id} already has an active run {run_id}."""


class OutputsNotAwaited(WrongState):
    """Runs in status "{status}" do not accept tool outputs."""


class OutputsMismatch(WrongState):
    """Expected tool outputs for call_ids {expected}, got {got}"""


class RunEnded(WrongState):
    """Cannot cancel run with status '{status}'."""


class KeyMissing(ApiError):
    """No API key was sent: send the header 'Authorization: Bearer KEY'."""

    status = 401
    code = "invalid_api_key"


class KeyUnknown(ApiError):
    """Incorrect API key."""

    status = 401
    code = "invalid_api_key"


class BadSignature(ApiError):
    """No tool's event_secret signed this event within the last five minutes."""

    status = 401
    code = "invalid_signature"


class ReadOnlyKey(ApiError):
    """This API key may only read."""

    status = 403
    code = "insufficient_permissions"


class NotFound(ApiError):
    """No {kind} found with id '{id}'."""

    status = 404


class NoSuchRoute(ApiError):
    """Unknown request URL: {method} {path}."""

    status = 404


class NoSuchCall(ApiError):
    """No call {call} of run {run} was sent to the tool that signed this; send the event again later."""

    status = 404


class WrongMethod(ApiError):
    """Method {method} is not served at {path}."""

    status = 405


class StillRunning(ApiError):
    """The first request with this Idempotency-Key is still being processed."""

    status = 409
    code = "idempotency_in_progress"
    headers = MappingProxyType({"retry-after-ms": "250"})


class BodyTooLarge(ApiError):
    """The request's body is over 8 MiB."""

    status = 413


class EventTooLarge(ApiError):
    """The event is over 1 MiB."""

    status = 413


class RateLimited(ApiError):
    """Rate limit reached: this API key may make {per_minute} requests a minute. Try again in {wait_s} s."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, *, per_minute: int, wait_s: float) -> None:
        super().__init__(per_minute=per_minute, wait_s=f"{wait_s:.1f}")
        self.headers = {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(math.ceil(wait_s * 1000))}


class ServerError(ApiError):
    """The server had an error while processing the request."""

    status = 500
    type = "server_error"


class Unavailable(ServerError):
    """The server cannot reach its database; try again."""

    status = 503
