"""A provider's answer, whole or in pieces, to a `Turn`. Pure.

Servers that call themselves compatible differ in all that is not obvious: indexes and ids of calls that are
missing or repeat, arguments that are objects, content in parts. What is clear is taken; the rest is
`ModelUnavailable`, since nothing has happened yet and another try may be better.
"""

from collections.abc import Mapping
from typing import Any, Final

from worker.models import AskedCall, Failed, Incomplete, ModelUnavailable, Turn, Usage
from worker.models.script import MAX_NAME_LENGTH, compact

FILTERED: Final = "the provider's content filter stopped the answer"
MOST_TOKENS: Final = 2**31 - 1


class Speech:
    """Text as it comes in. Blank space ahead of the first word, and half of a surrogate pair, wait for more."""

    def __init__(self) -> None:
        self._told: list[str] = []
        self._held = ""

    def hear(self, piece: str) -> str:
        """The text that can be told now, perhaps empty."""
        heard = self._held + piece
        cut = len(heard) - ("\ud800" <= heard[-1:] <= "\udbff")
        if not self._told and not heard[:cut].strip():
            cut = 0
        self._held = heard[cut:]
        return self._tell(heard[:cut])

    def end(self) -> str:
        """What was held back and belongs to the text."""
        held, self._held = self._held, ""
        return self._tell(held) if self._told else ""

    def _tell(self, text: str) -> str:
        text = storable(text)
        if text:
            self._told.append(text)
        return text

    @property
    def text(self) -> str:
        """All that was told."""
        return "".join(self._told)


class CallParts:
    """One call of the model, put together from its pieces."""

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []

    def add(self, piece: Mapping[str, Any]) -> None:
        """Takes a piece: names and arguments come in fragments, ids whole; some servers repeat id and name."""
        function = _mapping(piece.get("function"))
        name = function.get("name")
        if isinstance(name, str) and name != self.name:
            self.name += name
        if isinstance(piece.get("id"), str):
            self.id = self.id or piece["id"]
        arguments = function.get("arguments")
        if arguments not in (None, ""):
            self.arguments.append(arguments if isinstance(arguments, str) else _as_json(arguments))

    def call(self) -> AskedCall:
        """The call as asked; raises `ModelUnavailable` when nobody could tell what was asked for."""
        name = storable(self.name)
        if not 0 < len(name) <= MAX_NAME_LENGTH:
            raise ModelUnavailable("the provider's answer has a call without a usable name")
        arguments = storable("".join(self.arguments))
        return AskedCall(storable(self.id) or None, name, arguments if arguments.strip() else "{}")

    def continues(self, id: object, name: object, *, by_index: bool) -> bool:
        """Whether a piece with this id and name goes on with this call, or begins another.

        Without an index a name begins a call. With one, some servers give every call the same index: there a
        new name with a new id, or after arguments, begins a call.
        """
        if not name or not self.name:
            return True
        if not by_index:
            return False
        new_id = bool(id and self.id and id != self.id)
        return not new_id and (name == self.name or not self.arguments)


class Completion:
    """An answer in the making: `take` what came, then `turn`."""

    def __init__(self) -> None:
        self._speech = Speech()
        self._calls: list[CallParts] = []
        self._by_index: dict[int, CallParts] = {}
        self._usage = Usage()
        self._begun = False
        self.finish: str | None = None

    def take(self, answer: Mapping[str, Any]) -> str:
        """Takes one chunk of a stream or a whole answer; says the text that can be told now."""
        if isinstance(answer.get("usage"), dict):
            self._usage = Usage(*(_count(answer["usage"].get(f"{kind}_tokens")) for kind in ("prompt", "completion")))
        choice = next((_mapping(choice) for choice in _list(answer.get("choices"))), {})
        self._begun = self._begun or bool(choice)
        whole = isinstance(choice.get("message"), dict)
        message = _mapping(choice.get("message") if whole else choice.get("delta"))
        for piece in _list(message.get("tool_calls")):
            if isinstance(piece, dict):
                self._parts_for(piece, whole=whole).add(piece)
        if isinstance(choice.get("finish_reason"), str):
            self.finish = choice["finish_reason"]
        return self._speech.hear(_text(message.get("content")) + _text(message.get("refusal")))

    def _parts_for(self, piece: Mapping[str, Any], *, whole: bool) -> CallParts:
        """The call that this piece belongs to: by index where there is one, else by id, else the last."""
        id, name = piece.get("id"), _mapping(piece.get("function")).get("name")
        index: int | None = piece["index"] if isinstance(piece.get("index"), int) else None
        known: CallParts | None
        if whole:
            known = None
        elif index is not None:
            known = self._by_index.get(index)
        elif id:
            known = next((parts for parts in reversed(self._calls) if parts.id == id), None)
        else:
            known = self._calls[-1] if self._calls else None
        if known is None or not known.continues(id, name, by_index=index is not None):
            known = CallParts()
            self._calls.append(known)
        if index is not None:
            self._by_index[index] = known
        return known

    def rest(self) -> str:
        """Text that was held back until the answer had ended."""
        return self._speech.end()

    def turn(self) -> Turn:
        """The turn; raises `ModelUnavailable` when the answer is no answer."""
        if not self._begun:
            raise ModelUnavailable("the provider's answer holds no choice")
        said = self._speech.text
        match self.finish:
            case "error":
                raise ModelUnavailable("the provider gave up in the middle of its answer")
            case "length":
                # The last call is cut off, and calls of one batch belong together: none is made.
                return Turn(said or None, (), self._usage, Incomplete("max_completion_tokens"))
            case "content_filter":
                return Turn(said or None, (), self._usage, Failed("invalid_prompt", FILTERED))
            case _:
                calls = tuple(parts.call() for parts in self._calls)
                return Turn(said or None if calls else said, calls, self._usage)


def storable(text: str) -> str:
    """The text without what Postgres cannot store: U+0000, and surrogates that are not a pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text.replace("\0", "\ufffd")


def _text(content: object) -> str:
    """A string, or the text parts of a list, joined."""
    if isinstance(content, list):
        return "".join(_text(part.get("text")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _count(value: object) -> int:
    return min(value, MOST_TOKENS) if isinstance(value, int) and value > 0 else 0


def _as_json(value: object) -> str:
    try:
        return compact(value)
    except (ValueError, RecursionError):
        raise ModelUnavailable("the provider's answer has arguments that are no JSON") from None
