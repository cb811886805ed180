"""The explanation as one self-contained page: swim lanes drawn here, the verdict beside them, no network."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Final

from app.incidents.answer import Duplicate, Explanation, Finding, Moment
from app.incidents.lanes import lanes
from app.incidents.records import Source
from app.incidents.render_text import IN_WORDS, headline, named
from app.incidents.times import iso

DRAWN: Final = 60
"""So many duplicates are drawn; of the rest the page says the verdict."""

_STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2430;--soft:#5b6675;--line:#d9dee6;--band:#f5f7fa;
--accent:#2557a7;--bad:#b3261e;--bar:#7fa8e0;--failed:#e39a94;--star:#b3261e;--dot:#5b6675;--go:#2f7d4f}
@media (prefers-color-scheme:dark){:root{--paper:#14181f;--ink:#e6eaf0;--soft:#9aa6b5;--line:#2d3541;--band:#1b212a;
--accent:#8ab4f8;--bad:#ff8a80;--bar:#4a74b4;--failed:#a5524c;--star:#ff8a80;--dot:#9aa6b5;--go:#6fcf97}}
@media print{:root{color-scheme:light;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--band:#f6f6f6;--accent:#123e80;
--bad:#a00;--bar:#9fbfe8;--failed:#e8b0ab;--star:#a00;--dot:#444;--go:#165c33}section{break-inside:avoid}
main{padding:0}}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}
main{max-width:1240px;margin:0 auto;padding:28px 24px 48px}h1{font-size:22px;line-height:1.3;margin:0 0 4px}
h2{font-size:18px;margin:0 0 2px}h3{font-size:13px;margin:14px 0 4px;color:var(--soft);font-weight:600}
p{margin:4px 0}.soft{color:var(--soft)}section{border-top:1px solid var(--line);margin-top:22px;padding-top:18px}
.case{display:grid;grid-template-columns:minmax(0,1.9fr) minmax(280px,1fr);gap:24px;align-items:start}
.case>header{grid-column:1/-1}details{margin-top:12px}
@media (max-width:900px){.case{grid-template-columns:minmax(0,1fr)}}
.chip{display:inline-block;border:1px solid var(--line);border-radius:99px;
padding:0 10px;font-size:13px;margin-right:6px}
.chip.cause{border-color:var(--bad);color:var(--bad);font-weight:600}
code,td.m,.lanes text{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
code{font-size:13px;overflow-wrap:anywhere}ul{margin:0;padding-left:18px}li{margin:3px 0}
.lanes{width:100%;min-width:620px;display:block;
height:auto;border:1px solid var(--line);border-radius:8px;background:var(--paper)}
.lanes text{font-size:12.5px;fill:var(--ink)}.lanes .name{fill:var(--soft);font-weight:600}
.lanes .time,.lanes .gap{fill:var(--soft);font-size:11px}
.lanes .gap,.lanes .bracketed{text-anchor:middle}.lanes .band{fill:none}
.lanes .gateway .band,.lanes .submitter .band{fill:var(--band)}
.lanes .rule{stroke:var(--line)}.lanes .tick{stroke:var(--line);stroke-dasharray:2 4}
.lanes .break{stroke:var(--soft);stroke-dasharray:6 4}
.lanes .bar{fill:var(--bar)}.lanes .bar.failed{fill:var(--failed);stroke:var(--bad);stroke-dasharray:3 2}
.lanes .effect{fill:var(--star)}.lanes .dot{fill:var(--dot)}.lanes .dot.dispatch{fill:var(--accent)}
.lanes .dot.normalize,.lanes .dot.submit{fill:var(--go)}
.lanes .dot.duplicate_event{fill:var(--paper);stroke:var(--dot);stroke-width:2}
.lanes .bracket{fill:none;stroke:var(--bad);stroke-width:2}.lanes .bracketed{fill:var(--bad);font-size:11px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:13px}
th,td{text-align:left;padding:3px 12px 3px 0;vertical-align:top;border-bottom:1px solid var(--line)}
th{color:var(--soft);font-weight:600}td.m{white-space:nowrap}summary{cursor:pointer;color:var(--accent)}
"""


def render_html(explanation: Explanation) -> str:
    """Return the page."""
    return "".join(_page(explanation))


def _page(explanation: Explanation) -> Iterator[str]:
    title = headline(explanation)
    yield '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width,initial-scale=1">'
    yield f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
    yield f"<h1>{escape(title)}</h1>"
    yield '<p class="soft">Explained by counterfoil investigate from the logs listed below.</p>'
    for position, duplicate in enumerate(explanation.duplicates):
        yield from _case(duplicate, drawn=position < DRAWN)
    if explanation.findings:
        yield from _findings(explanation.findings)
    yield from _sources(explanation)
    yield "</main></body></html>\n"


def _case(duplicate: Duplicate, drawn: bool) -> Iterator[str]:
    yield f'<section class="case"><header><h2>{escape(named(duplicate) or "Requests without an audit trail")}</h2>'
    yield f'<p><span class="chip cause">{duplicate.cause.value}</span>'
    yield f'<span class="chip">confidence {duplicate.confidence.value}</span>{_ids(duplicate)}</p></header>'
    yield f'<div><div class="scroll">{lanes(duplicate) if drawn else ""}</div>'
    if drawn:
        yield '<details open><summary>The same as a table</summary><div class="scroll">'
        yield _table(("", "Time as logged", "Source", "Line", "What"), map(_row, enumerate(duplicate.timeline, 1)))
        yield "</div></details>"
    yield "</div>"
    yield f"<div><p><strong>{_sentence(IN_WORDS[duplicate.cause])}</strong> Because {escape(duplicate.because)}.</p>"
    yield _list("Ruled out", [f"{out.cause.value}: {out.because}" for out in duplicate.ruled_out])
    yield _list("Missing", duplicate.missing)
    yield _list("Not a cause", duplicate.notes)
    yield f"<h3>Remedy</h3><p>{escape(duplicate.remedy)}</p></div>"
    yield "</section>"


def _sentence(text: str) -> str:
    return escape(f"{text[0].upper()}{text[1:]}.")


def _ids(duplicate: Duplicate) -> str:
    named_ids = [
        ("tool", [duplicate.tool] if duplicate.tool else []),
        ("thread", duplicate.thread_ids),
        ("run", duplicate.run_ids),
        ("call", duplicate.tool_call_ids),
        ("fingerprint", [duplicate.fingerprint] if duplicate.fingerprint else []),
    ]
    return " ".join(
        f'<span class="soft">{label}</span> <code>{escape(", ".join(values))}</code>'
        for label, values in named_ids
        if values
    )


def _list(title: str, lines: list[str]) -> str:
    if not lines:
        return ""
    return f"<h3>{title}</h3><ul>{''.join(f'<li>{escape(line)}</li>' for line in lines)}</ul>"


def _row(numbered: tuple[int, Moment]) -> tuple[str, ...]:
    number, moment = numbered
    note = f" ({moment.note})" if moment.note else ""
    return (str(number), iso(moment.at_us), moment.source, str(moment.line), moment.what + note)


def _table(heads: tuple[str, ...], rows: Iterator[tuple[str, ...]] | map[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(map(_cell, row[:-1]))}<td>{escape(row[-1])}</td></tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    return f'<td class="m">{escape(text)}</td>'


def _findings(findings: list[Finding]) -> Iterator[str]:
    yield f"<section><h2>Other findings ({len(findings)})</h2>"
    rows = ((f.kind, f.run_id or "", f.tool_call_id or "", iso(f.since_us), f.because) for f in findings)
    yield f'<div class="scroll">{_table(("Kind", "Run", "Call", "Since", "Because"), rows)}</div></section>'


def _sources(explanation: Explanation) -> Iterator[str]:
    yield "<section><h2>Sources</h2>"
    heads = ("Source", "Records", "Unread", "Clock", "File", "Unread because")
    yield f'<div class="scroll">{_table(heads, map(_source_row, explanation.sources))}</div>'
    yield from (f"<p>{escape(note)}</p>" for note in explanation.notes)
    yield "</section>"


def _source_row(source: Source) -> tuple[str, ...]:
    why = "; ".join(
        f"{n} × {reason} (first: line {source.unread_lines[reason]})" for reason, n in source.reasons.items()
    )
    return (source.name, str(source.records), str(source.unread), f"{source.offset_s:+.3f} s", source.file, why)
