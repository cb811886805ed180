"""The words of the ledger, as the database spells them (design, sections 2 to 4)."""

from enum import StrEnum


class RunStatus(StrEnum):
    """Statuses of a run; `requires_action` waits for the outcome of tool calls, whoever executes them."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    REQUIRES_ACTION = "requires_action"
    COMPLETED = "completed"
    FAILED = "failed"
    INCOMPLETE = "incomplete"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class CallState(StrEnum):
    """States of a tool call: what all evidence makes of it."""

    PENDING = "pending"
    HELD = "held"
    INTENDED = "intended"
    ACCEPTED = "accepted"
    IN_DOUBT = "in_doubt"
    NEEDS_OPERATOR = "needs_operator"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


class AttemptState(StrEnum):
    """States of an attempt: what is known of one time that a request may have gone out."""

    OPEN = "open"
    ACCEPTED = "accepted"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    REFUTED = "refuted"


class EvidenceKind(StrEnum):
    """Where a piece of evidence comes from."""

    REPLY = "reply"
    LOOKUP = "lookup"
    EVENT = "event"
    OPERATOR = "operator"


class Executor(StrEnum):
    """Who executes a call: the server, by its catalog, or the client, by `submit_tool_outputs`."""

    SERVER = "server"
    CLIENT = "client"


class Repeat(StrEnum):
    """What a tool promises about being called again (design, section 3)."""

    SAFE = "safe"
    KEYED = "keyed"
    LOOKUP = "lookup"
    NEVER = "never"


class Ledger(StrEnum):
    """The ledger's mode, fixed for a run at its start (design, section 7)."""

    OFF = "off"
    OBSERVE = "observe"
    ENFORCE = "enforce"


class StepType(StrEnum):
    """Kinds of run steps."""

    MESSAGE_CREATION = "message_creation"
    TOOL_CALLS = "tool_calls"


class Reason(StrEnum):
    """Reasons of a call's state that a decision turns on; others are for people to read."""

    OPERATOR_RETRY = "operator_retry"
    OPERATOR_LOOKUP = "operator_lookup"
    APPROVAL_REQUIRED = "approval_required"
    LOOKUP_SEVERAL = "lookup_several"
    LOOKUP_AMBIGUOUS = "lookup_ambiguous"


class Attention(StrEnum):
    """Why a person should look at a run or a call (design, section 4)."""

    CONFLICT = "conflict"
    NEEDS_OPERATOR = "needs_operator"
    POISONED = "poisoned"
    ORPHAN_EFFECT = "orphan_effect"
    STUCK = "stuck"
