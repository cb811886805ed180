"""The web application: every route of the sandbox."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from sandbox import control, pages
from sandbox.calls import WORLD, handle
from sandbox.world import World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
LARGEST_BODY: Final = 2**20
PROTECTION: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def build_app(world: World) -> web.Application:
    """Build the application of one world."""
    app = web.Application(middlewares=[errors_as_json, own_pages_only], client_max_size=LARGEST_BODY)
    app[WORLD] = world
    app.on_response_prepare.append(protect)
    for tool in ("create_ticket", "get_ticket", "send_email", "create_invoice"):
        app.router.add_post(f"/tools/{tool}", handle)
    app.router.add_get("/tools/get_ticket", handle, allow_head=False)
    app.router.add_get("/tickets", handle, allow_head=False)
    app.add_routes(
        [
            web.get("/audit", control.audit),
            web.get("/audit/{name:tickets|mail|invoices}", control.audit),
            web.delete("/audit", control.clear_audit),
            web.post("/reset", control.reset),
            web.get("/requests", control.requests),
            web.get("/faults", control.show_faults),
            web.post("/faults", control.set_faults),
            web.delete("/faults", control.clear_faults),
            web.get("/healthz", control.health),
            web.get("/readyz", control.health),
            web.get("/", pages.home),
            web.get("/{name:tickets|mail|invoices}.html", pages.system),
            web.get("/static/{name}", pages.static),
        ]
    )
    return app


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell a client's mistakes in JSON, as an API does."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        body = {"error": (error.reason or "error").lower().replace(" ", "_"), "message": error.text or ""}
        headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return web.json_response(body, status=error.status, headers=headers)


@web.middleware
async def own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what another site's page makes a browser send; programs do not send the header."""
    site = request.headers.get("Sec-Fetch-Site", "none")
    if request.method not in {"GET", "HEAD"} and site not in {"none", "same-origin"}:
        raise web.HTTPForbidden(text="a page of another site may not do this")
    return await handler(request)


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Add the headers that keep the pages from running anything but our own script."""
    for name, value in PROTECTION.items():
        response.headers.setdefault(name, value)
