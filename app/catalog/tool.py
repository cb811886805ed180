"""What the catalog says of tools and models, once it is known to make sense: plain values, read by everyone.

A call copies its tool's `Contract` when its round commits: a later catalog cannot change what was promised.
"""

import fnmatch
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Self

import jsonschema
from jsonschema.exceptions import best_match
from referencing import Registry

from app.catalog.placeholders import fill, fill_url

NO_ARGUMENTS: Final[Mapping[str, Any]] = {"type": "object", "properties": {}}


@dataclass(frozen=True)
class Lookup:
    """How to look an effect up. `found`: JMESPath to the effects in the reply; `id`: to the id within one.

    `at`: JMESPath to an effect's time, "" for none: needed only to tell by a fingerprint whose effect it is.
    `by`: "effect_key" when the URL names this one call, "fingerprint" when it names all that look alike.
    """

    url: str
    found: str
    id: str
    tries: int = 5
    none_status: tuple[int, ...] = ()
    by: str = "effect_key"
    at: str = ""


@dataclass(frozen=True)
class Contract:
    """What a tool promises about being called again, and how long that takes (design, section 3)."""

    repeat: str = "never"
    timeout_s: float = 10.0
    settle_s: float = 0.0
    completion_s: float | None = None
    key_ttl_s: float | None = None
    max_attempts: int = 5
    refused_statuses: tuple[int, ...] = ()
    when_in_doubt: str = "hold"
    same_request: str = "send"
    same_request_s: float = 600.0
    lookup: Lookup | None = None
    approval: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object, for the call's row; `from_json` reads it back."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The contract that `to_json` wrote, also after a round through JSON."""
        look = value.get("lookup")
        lookup = look and Lookup(**{**look, "none_status": tuple(look.get("none_status", ()))})
        refused = tuple(value.get("refused_statuses", ()))
        return cls(**{**value, "lookup": lookup, "refused_statuses": refused})


@dataclass(frozen=True)
class Tool:
    """One entry of `[tools.*]`: where to call it, what to send, what it promises. `headers` holds secrets."""

    name: str
    url: str
    method: str = "POST"
    description: str = ""
    parameters: Mapping[str, Any] | None = None
    contract: Contract = field(default_factory=Contract)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Mapping[str, Any] = field(default_factory=dict)
    key_header: str = "Idempotency-Key"
    event_secret: str | None = field(default=None, repr=False)
    external_id: str | None = None

    def under(self, contract: Contract) -> "Tool":
        """This tool as a call knew it: with the contract that was copied when its round committed."""
        return self if contract == self.contract else replace(self, contract=contract)

    def offer(self) -> dict[str, Any]:
        """The tool as the model sees it: an OpenAI function tool."""
        function: dict[str, Any] = {"name": self.name, "parameters": dict(self.parameters or NO_ARGUMENTS)}
        if self.description:
            function["description"] = self.description
        return {"type": "function", "function": function}

    def request_url(self, marks: Mapping[str, str]) -> str:
        """The URL with its placeholders filled in, percent-encoded."""
        return fill_url(self.url, marks)

    def lookup_url(self, marks: Mapping[str, str]) -> str:
        """The lookup's URL, likewise; the contract must have a lookup."""
        assert self.contract.lookup is not None
        return fill_url(self.contract.lookup.url, marks)

    def request_body(self, arguments: Mapping[str, Any], marks: Mapping[str, str]) -> dict[str, Any]:
        """The arguments with the catalog's `body` merged in; where both have a value, the catalog's stands."""
        return _merged(arguments, fill(self.body, marks))

    @cached_property
    def _validator(self) -> jsonschema.Draft202012Validator:
        # An empty registry: a schema never makes us fetch another from the network.
        return jsonschema.Draft202012Validator(dict(self.parameters or NO_ARGUMENTS), registry=Registry())


def check_arguments(tool: Tool, arguments: object) -> str | None:
    """What is wrong with a call's arguments, in words for the model, else None. Holds payload: never log it."""
    if not isinstance(arguments, dict):
        return "the arguments must be a JSON object"
    try:
        error = best_match(tool._validator.iter_errors(arguments))
    except RecursionError:
        return "the arguments are nested too deeply"
    if error is None:
        return None
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in error.absolute_path)
    return f"arguments{place}: {error.message}"


@dataclass(frozen=True)
class ModelEntry:
    """One entry of `[models.*]`: which provider serves the model names that match `pattern`, and how."""

    pattern: str
    provider: str
    base_url: str
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    timeout_s: float = 60.0
    max_attempts: int = 3

    def matches(self, name: str) -> bool:
        """Whether this entry serves the model `name`."""
        return fnmatch.fnmatchcase(name, self.pattern)


@dataclass(frozen=True)
class Catalog:
    """All tools and models of one file."""

    tools: Mapping[str, Tool] = field(default_factory=dict)
    models: tuple[ModelEntry, ...] = ()

    def model_for(self, name: str) -> ModelEntry | None:
        """The first entry, in file order, that serves the model `name`."""
        return next((entry for entry in self.models if entry.matches(name)), None)


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
