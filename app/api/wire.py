"""What clients send, once: pydantic types that check it and that `GET /openapi.json` is made of.

Types are strict, unknown fields are ignored, and an explicit null is the same as an absent field. What comes
back as it was sent (tools, response_format, tool_choice) is checked by its type and kept as it is.
"""

from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

T = TypeVar("T")
LONGEST_TEXT: Final = 256_000  # code points, also of a message over all its parts
MOST_OUTPUT_BYTES: Final = 512 * 1024
MOST_TOKENS: Final = 2_000_000_000
LONGEST_LIFE_S: Final = 2_592_000
UNION_TAGS: Final = frozenset({"text", "parts", "word", "object"})


class Body(BaseModel):
    """An object within a request."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def without_nulls(cls, value: Any) -> Any:
        """An explicit null is the same as an absent field."""
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if item is not None}
        return value


def as_sent(value: Any, check: Any) -> Any:
    """Checks a value and keeps what was sent, unknown keys and nulls included."""
    check(value)
    return value


def only_functions(value: Any) -> Any:
    """Other types of tools are not served."""
    if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind != "function":
        raise PydanticCustomError("unsupported_tool", "only tools of type 'function' are supported")
    return value


def only_text(value: Any) -> Any:
    """Images and other parts are not served."""
    if isinstance(value, dict) and isinstance(kind := value.get("type"), str) and kind != "text":
        raise PydanticCustomError("unsupported_content_type", "only parts of type 'text' are supported")
    return value


def nothing(value: T) -> T:
    """Files are not served: what would name them must be empty."""
    if value:
        raise PydanticCustomError("invalid_value", "files are not supported, so this must be empty")
    return value


def kind_of_content(value: Any) -> str:
    """Content is a string or a list of parts."""
    return "parts" if isinstance(value, list) else "text"


def word_or_object(value: Any) -> str:
    """Some fields are a word or an object."""
    return "object" if isinstance(value, dict) else "word"


def not_too_long(content: Any) -> Any:
    """Counts the code points of all parts together."""
    total = len(content) if isinstance(content, str) else sum(len(part.text) for part in content)
    if total > LONGEST_TEXT:
        raise PydanticCustomError("string_too_long", "all parts together may have at most 256000 characters")
    return content


Text = Annotated[str, Field(max_length=LONGEST_TEXT)]
Model = Annotated[str, Field(min_length=1)]
FunctionName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MetadataKey = Annotated[str, Field(min_length=1, max_length=64)]
MetadataValue = Annotated[str, Field(max_length=512)]
Metadata = Annotated[dict[MetadataKey, MetadataValue], Field(max_length=16)]
NoFiles = Annotated[dict[str, Any], AfterValidator(nothing), Field(json_schema_extra={"maxProperties": 0})]
NoAttachments = Annotated[list[Any], AfterValidator(nothing), Field(json_schema_extra={"maxItems": 0})]
Temperature = Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)]
TopP = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
TokenLimit = Annotated[int, Field(ge=256, le=MOST_TOKENS)]


class Function(Body):
    """A function that the model may call; without parameters it takes no arguments."""

    name: FunctionName
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Body):
    """A tool of the one type that is served."""

    type: Literal["function"]
    function: Function


Tool = Annotated[FunctionTool, BeforeValidator(only_functions), WrapValidator(as_sent)]
Tools = Annotated[list[Tool], Field(max_length=128)]


class FormatObject(Body):
    """A response format other than `auto`."""

    type: Literal["text", "json_object", "json_schema"]


class NamedFunction(Body):
    """The name of a function."""

    name: FunctionName


class NamedTool(Body):
    """The one function that the model must call."""

    type: Literal["function"]
    function: NamedFunction


ResponseFormat = Annotated[
    Annotated[Literal["auto"], Tag("word")] | Annotated[FormatObject, Tag("object")],
    Discriminator(word_or_object),
    WrapValidator(as_sent),
]
ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")] | Annotated[NamedTool, Tag("object")],
    Discriminator(word_or_object),
    WrapValidator(as_sent),
]


class TruncationStrategy(Body):
    """How much of the thread the model sees."""

    type: Literal["auto", "last_messages"]
    last_messages: Annotated[int, Field(ge=1, le=MOST_TOKENS)] | None = None

    @model_validator(mode="after")
    def has_a_number(self) -> "TruncationStrategy":
        """`last_messages` needs its number."""
        if self.type == "last_messages" and self.last_messages is None:
            raise PydanticCustomError("invalid_value", "last_messages is required with type 'last_messages'")
        return self


class TextPart(Body):
    """A part of a message: in requests a plain string, in answers an object."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1)]


Content = Annotated[
    Annotated[str, Field(min_length=1), Tag("text")]
    | Annotated[list[Annotated[TextPart, BeforeValidator(only_text)]], Field(min_length=1), Tag("parts")],
    Discriminator(kind_of_content),
    AfterValidator(not_too_long),
]


class MetadataBody(Body):
    """An update of what can be updated: the metadata, replaced as a whole."""

    metadata: Metadata | None = None


class ThreadUpdate(MetadataBody):
    """An update of a thread."""

    tool_resources: NoFiles | None = None


class MessageBody(MetadataBody):
    """A message to add."""

    role: Literal["user", "assistant"]
    content: Content
    attachments: NoAttachments | None = None


class ThreadBody(ThreadUpdate):
    """A thread to make, with its first messages."""

    messages: list[MessageBody] | None = None


class AssistantUpdate(ThreadUpdate):
    """An update of an assistant: what is given is replaced."""

    model: Model | None = None
    name: Annotated[str, Field(max_length=256)] | None = None
    description: Annotated[str, Field(max_length=512)] | None = None
    instructions: Text | None = None
    tools: Tools | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None


class AssistantBody(AssistantUpdate):
    """An assistant to make."""

    model: Model = Field()


class RunBody(MetadataBody):
    """A run to make; what is absent is the assistant's."""

    assistant_id: str
    model: Model | None = None
    instructions: Text | None = None
    additional_instructions: Text | None = None
    additional_messages: list[MessageBody] | None = None
    tools: Tools | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    stream: bool | None = None
    max_prompt_tokens: TokenLimit | None = None
    max_completion_tokens: TokenLimit | None = None
    truncation_strategy: TruncationStrategy | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    reasoning_effort: str | None = None
    expires_in_seconds: Annotated[int, Field(ge=1, le=LONGEST_LIFE_S)] | None = None


class ThreadRunBody(RunBody):
    """A run to make together with its thread."""

    thread: ThreadBody | None = None
    tool_resources: NoFiles | None = None


class ToolOutput(Body):
    """What a call of the client's came to; no output is an empty one."""

    tool_call_id: str
    output: str = ""


def not_too_many_bytes(outputs: list[ToolOutput]) -> list[ToolOutput]:
    """Counts the bytes of all outputs together."""
    if sum(len(one.output.encode()) for one in outputs) > MOST_OUTPUT_BYTES:
        raise PydanticCustomError("string_too_long", "all outputs together may have at most 512 KiB")
    return outputs


class SubmitBody(Body):
    """The outputs of all calls that a run waits for."""

    tool_outputs: Annotated[list[ToolOutput], AfterValidator(not_too_many_bytes)]
    stream: bool | None = None


class NoBody(Body):
    """A request that needs no body."""
