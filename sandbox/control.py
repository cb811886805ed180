"""What tests and the pages steer: audit trails, access log, faults, reset."""

import json
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from yarl import URL

from sandbox.calls import WORLD
from sandbox.faults import KINDS, SpecError, make_fault, parse_rule, parse_spec
from sandbox.log import log
from sandbox.plan import FaultPlan

PAGES: Final = ("/", "/tickets.html", "/mail.html", "/invoices.html")
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")


async def audit(request: web.Request) -> web.Response:
    """GET /audit and /audit/NAME: what happened, oldest first; ?FIELD=VALUE keeps the lines that equal it."""
    registers = request.app[WORLD].registers
    name = request.match_info.get("name")
    chosen = registers.values() if name is None else [registers[name]]
    effects = sorted((e for register in chosen for e in register.effects), key=lambda e: e.created_at)
    lines = (effect.audit() for effect in effects)
    return web.json_response([line for line in lines if _equals(line, request.query)])


def _equals(line: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(name in line and str(line[name]) == value for name, value in wanted.items())


async def requests(request: web.Request) -> web.Response:
    """GET /requests?limit=N&FIELD=VALUE: the newest entries of the access log, oldest first (limit: 1000)."""
    wanted = dict(request.query)
    limit = wanted.pop("limit", "1000")
    if not (limit.isascii() and limit.isdigit()):
        raise web.HTTPBadRequest(text="limit must be a whole number")
    return web.json_response(request.app[WORLD].access.find(wanted, limit=int(limit)))


async def show_faults(request: web.Request) -> web.Response:
    """GET /faults: the spec, the seed, and each fault with its counts; `kinds` explains them."""
    kinds = {name: kind.what for name, kind in KINDS.items()}
    return web.json_response({**request.app[WORLD].plan.to_json(), "kinds": kinds})


async def set_faults(request: web.Request) -> web.Response:
    """POST /faults: a SPEC as text, JSON {"spec"?, "seed"?, "rules"?}, or the form of a page.

    `spec` replaces the faults of the spec, `rules` the rules; what is not named stays; 400 changes nothing.
    """
    plan = request.app[WORLD].plan
    is_form = request.content_type in FORMS
    try:
        if is_form:
            _obey_form(plan, {name: str(value) for name, value in (await request.post()).items()})
        else:
            _obey(plan, _said(await request.text()))
    except SpecError as error:
        if is_form:
            raise web.HTTPSeeOther(URL(_page_of(request)).with_query(wrong=str(error))) from None
        return web.json_response({"error": "bad_faults", "message": str(error)}, status=400)
    log("info", "faults", **plan.to_json())
    if is_form:
        raise web.HTTPSeeOther(_page_of(request))
    return await show_faults(request)


def _said(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _obey(plan: FaultPlan, said: Any) -> None:
    if isinstance(said, str):
        said = {"spec": said}
    if not isinstance(said, dict) or not said or set(said) - {"spec", "seed", "rules"}:
        raise SpecError(said, 'wanted a SPEC or {"spec", "seed", "rules"}')
    rules = said.get("rules", [])
    if not isinstance(rules, list):
        raise SpecError(rules, "rules is a list")
    made = [parse_rule(rule) for rule in rules]
    spec = parse_spec(str(said.get("spec", "")))
    seed = said.get("seed", spec.seed)
    if seed is not None and (not isinstance(seed, int) or seed < 0):
        raise SpecError(seed, "seed is a whole number of at least 0")
    if "spec" in said:
        plan.replace("spec", spec.faults)
    if "rules" in said:
        plan.replace("rule", made)
    plan.seed = plan.seed if seed is None else seed


def _obey_form(plan: FaultPlan, form: Mapping[str, str]) -> None:
    match form.get("do"):
        case "add":
            names = ("kind", "tool", "value", "probability", "times")
            parts: dict[str, Any] = {name: form.get(name) for name in names}
            plan.add([make_fault(form.get("kind"), **parts)], "spec")
        case "remove":
            plan.remove(int(form.get("number", "")) if form.get("number", "").isdecimal() else 0)
        case "spec":
            _obey(plan, form.get("spec", ""))
        case "clear":
            plan.clear()
        case other:
            raise SpecError(other, "no such button")


async def clear_faults(request: web.Request) -> web.Response:
    """DELETE /faults: all off, rules too."""
    request.app[WORLD].plan.clear()
    log("info", "faults", **request.app[WORLD].plan.to_json())
    return await show_faults(request)


async def clear_audit(request: web.Request) -> web.Response:
    """DELETE /audit: forget all effects and requests, and what is still under way; faults stay."""
    await request.app[WORLD].forget()
    log("info", "forgotten")
    return web.json_response({"forgotten": True})


async def reset(request: web.Request) -> web.Response:
    """POST /reset: as DELETE /audit, and the faults are those of the command line again, counts at zero."""
    world = request.app[WORLD]
    await world.forget()
    world.plan.restart()
    log("info", "reset")
    if request.content_type in FORMS:
        raise web.HTTPSeeOther(_page_of(request))
    return web.json_response({"reset": True})


def _page_of(request: web.Request) -> str:
    page = request.query.get("page", "/")
    return page if page in PAGES else "/"


async def health(_: web.Request) -> web.Response:
    """GET /healthz and /readyz: 200 while alive; the trails are read before the port opens."""
    return web.json_response({"ok": True})
