"""The explanation as text for a terminal and an incident channel: the verdict first."""

from __future__ import annotations

from collections.abc import Iterator

from app.incidents.answer import Cause, Duplicate, Explanation, Finding
from app.incidents.records import Source
from app.incidents.times import iso

IN_WORDS = {
    Cause.REDISPATCH: "the orchestrator sent the same tool call again",
    Cause.GATEWAY_RETRY: "the gateway retried a request whose first try had taken effect",
    Cause.CLIENT_RESUBMISSION: "the user or client sent the turn twice",
    Cause.MODEL_REPEAT: "the model asked twice",
    Cause.EXTERNAL_DUPLICATE: "the external system did it twice for one request",
    Cause.UNKNOWN: "the evidence does not decide",
}


def render_text(explanation: Explanation) -> str:
    """Return the text, ending in a newline."""
    return "\n".join(_lines(explanation)) + "\n"


def _lines(explanation: Explanation) -> Iterator[str]:
    duplicates, findings = explanation.duplicates, explanation.findings
    yield headline(explanation)
    for number, duplicate in enumerate(duplicates, 1):
        yield ""
        yield from _duplicate(number, duplicate)
    if findings:
        yield ""
        yield f"Other findings ({len(findings)})"
        yield from (f"  {finding_line(finding)}" for finding in findings)
    yield ""
    yield "Read"
    yield from (f"  {source_line(source)}" for source in explanation.sources)
    for note in explanation.notes:
        yield f"  {note}"


def headline(explanation: Explanation) -> str:
    """Say in one line what was found."""
    if not explanation.found:
        return "Nothing duplicated, stalled, orphaned or missing."
    duplicates, findings = len(explanation.duplicates), len(explanation.findings)
    parts = []
    if duplicates:
        parts.append(f"{duplicates} duplicated side effect{'s' if duplicates > 1 else ''}")
    if findings:
        parts.append(f"{findings} other finding{'s' if findings > 1 else ''}")
    text = " and ".join(parts)
    if explanation.window:
        text += f", between {iso(explanation.window[0])} and {iso(explanation.window[1])}"
    return f"{text}."


def named(duplicate: Duplicate) -> str:
    """Return the effects of a duplicate as one phrase."""
    effects = duplicate.effects
    return " and ".join(effects) if len(effects) < 3 else f"{', '.join(effects[:-1])} and {effects[-1]}"


def _duplicate(number: int, duplicate: Duplicate) -> Iterator[str]:
    yield f"{number}. {named(duplicate) or 'requests without an audit trail'}: {duplicate.cause.value}"
    words = IN_WORDS[duplicate.cause]
    yield f"   {words[0].upper()}{words[1:]} (confidence {duplicate.confidence.value})."
    yield f"   Because {duplicate.because}."
    ids = [
        f"{label} {', '.join(values)}"
        for label, values in (
            ("thread", duplicate.thread_ids),
            ("run", duplicate.run_ids),
            ("tool call", duplicate.tool_call_ids),
        )
        if values
    ]
    tool = [f"tool {duplicate.tool}"] if duplicate.tool else []
    prints = [f"fingerprint {duplicate.fingerprint}"] if duplicate.fingerprint else []
    yield f"   {' · '.join(tool + ids + prints)}"
    yield ""
    yield "   Timeline"
    for moment in duplicate.timeline:
        note = f"   ({moment.note})" if moment.note else ""
        yield f"     {iso(moment.at_us)}  {moment.source:<11} :{moment.line:<6} {moment.what}{note}"
    yield from _block("Ruled out", [f"{out.cause.value}: {out.because}" for out in duplicate.ruled_out])
    yield from _block("Missing", duplicate.missing)
    yield from _block("Not a cause", duplicate.notes)
    yield from _block("Remedy", [duplicate.remedy])


def _block(title: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"   {title}"
        yield from (f"     - {line}" for line in lines)


def finding_line(finding: Finding) -> str:
    """Return one line for a finding."""
    ids = [f"run {finding.run_id}"] if finding.run_id else []
    ids += [f"call {finding.tool_call_id}"] if finding.tool_call_id else []
    return f"{finding.kind:<14} {' '.join(ids) or 'no run'}, since {iso(finding.since_us)}: {finding.because}"


def source_line(source: Source) -> str:
    """Return one line for a source: how much was read, what was not and why, and its clock."""
    text = f"{source.name:<11} {source.file}: {source.records} records, {source.unread} unread"
    if source.reasons:
        why = (
            f"{count} × {reason} (first: line {source.unread_lines[reason]})"
            for reason, count in source.reasons.items()
        )
        text += f" ({'; '.join(why)})"
    return text + (f", clock {source.offset_s:+.3f} s" if source.offset_s else "")
