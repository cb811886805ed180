"""Pages for people: each system with its effects as they come, and the faults to switch."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from sandbox.calls import WORLD
from sandbox.effect import Effect, iso
from sandbox.faults import KINDS, TOOLS
from sandbox.register import Register

HERE: Final = Path(__file__).parent
SHOWN: Final = 200
STATIC: Final = {"sandbox.css": "text/css", "live.js": "text/javascript", "icon.svg": "image/svg+xml"}
SYSTEMS: Final[Mapping[str, Mapping[str, str]]] = {
    "tickets": {
        "title": "Ticketing",
        "one": "ticket",
        "many": "tickets",
        "tool": "create_ticket",
        "promise": "Makes a new ticket at every request. A ticket can be looked up by its mark.",
    },
    "mail": {
        "title": "E-mail",
        "one": "message",
        "many": "messages",
        "tool": "send_email",
        "promise": "Sends at every request. No key, no lookup: only this trail knows.",
    },
    "invoices": {
        "title": "Billing",
        "one": "invoice",
        "many": "invoices",
        "tool": "create_invoice",
        "promise": "Honours Idempotency-Key: one key, one invoice, however often it is asked for.",
    },
}


MARKS: Final = {
    "request_fingerprint": "fingerprint",
    "run_id": "run",
    "thread_id": "thread",
    "corr_id": "corr",
    "tool_call_id": "call",
    "attempt": "attempt",
    "idempotency_key": "key",
    "external_ref": "ref",
}


def _clock(moment: str) -> str:
    """Cut an ISO moment to its time of day."""
    return moment[11:23]


TEMPLATES: Final = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
TEMPLATES.filters["clock"] = _clock


async def home(request: web.Request) -> web.Response:
    """GET /: the three systems, the last effects of all, and the last requests with what befell them."""
    world = request.app[WORLD]
    newest = sorted(
        (slip(register, effect) for register in world.registers.values() for effect in register.effects[-10:]),
        key=lambda shown: str(shown["at"]),
        reverse=True,
    )
    for shown in newest:
        shown["marks"] = {name: shown["marks"][name] for name in ("run", "call", "attempt") if name in shown["marks"]}
    entries = world.access.find({}, limit=25)[::-1]
    return _page("home.html", request, page="/", slips=newest[:10], entries=entries)


async def system(request: web.Request) -> web.Response:
    """GET /NAME.html: one system's effects, newest first."""
    world = request.app[WORLD]
    name = request.match_info["name"]
    register = world.registers[name]
    slips = [slip(register, effect) for effect in islice(reversed(register.effects), SHOWN)]
    hidden = len(register.effects) - len(slips)
    return _page("system.html", request, page=f"/{name}.html", name=name, slips=slips, hidden=hidden)


def slip(register: Register, effect: Effect) -> dict[str, Any]:
    """What a page shows of an effect."""
    name = register.kind.name
    head, text = _words(name, effect.content)
    marks = {**effect.origin.to_json(), "external_ref": effect.content.get("external_ref")}
    return {
        "id": effect.id,
        "system": name,
        "at": iso(effect.created_at),
        "head": head,
        "text": text,
        "marks": {MARKS[mark]: value for mark, value in marks.items() if value is not None},
        "repeat": register.repeat(effect),
    }


def _words(name: str, content: Mapping[str, Any]) -> tuple[str, str | None]:
    match name:
        case "tickets":
            return content["title"], content["body"]
        case "mail":
            return content["subject"], f"to {content['to']}" + (f": {content['body']}" if content["body"] else "")
        case _:
            cents = content["amount_cents"]
            return f"{cents // 100:,}.{cents % 100:02d} {content['currency']}", f"for {content['customer']}"


def _page(template: str, request: web.Request, **facts: Any) -> web.Response:
    world = request.app[WORLD]
    counts = {
        name: {"all": len(register.effects), "surplus": register.surplus()}
        for name, register in world.registers.items()
    }
    html = TEMPLATES.get_template(template).render(
        systems=SYSTEMS,
        counts=counts,
        armed=world.plan.armed,
        seed=world.plan.seed,
        kinds=KINDS,
        tools=TOOLS,
        wrong=request.query.get("wrong"),
        **facts,
    )
    body = html.encode("utf-8", "replace")  # a lone surrogate in a title must not cost the page
    return web.Response(body=body, content_type="text/html", charset="utf-8")


async def static(request: web.Request) -> web.Response:
    """GET /static/NAME: the style, the script and the icon."""
    name = request.match_info["name"]
    if name not in STATIC:
        raise web.HTTPNotFound(text=f"no file {name}")
    return web.Response(body=(HERE / "static" / name).read_bytes(), content_type=STATIC[name], charset="utf-8")
