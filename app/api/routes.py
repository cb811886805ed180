"""Puts the API together: routes, who asks, and one envelope for every error."""

import os
from typing import Final

from flask import Blueprint, Flask, Response, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound

from app import errors
from app.api import assistants, health, messages, metrics, models, reference, runs, steps, submit, threads
from app.api.answers import answer
from app.api.bodies import MOST_BYTES
from app.api.services import NAME, PollPace, Services, services
from app.api.stream.feed import Feed
from app.auth import KeyRing
from app.catalog import load_catalog
from app.database import Database, Notifier
from app.logs import get_logger
from app.settings import Settings
from app.telemetry.web import watch
from sql.ids import new_id
from sql.sealing import use_keys

PREFIX: Final = "/v1"

_log = get_logger(part="api")


def add_routes(flask_app: Flask, settings: Settings) -> None:
    """Adds routes, handlers and the shared parts."""
    if settings.database_url is None:
        raise RuntimeError("no DATABASE_URL: `counterfoil web` starts the embedded Postgres and sets it")
    use_keys(settings.payload_keys)
    flask_app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES
    flask_app.extensions[NAME] = parts(settings, settings.database_url)
    api = Blueprint("api", __name__, url_prefix=PREFIX)
    for module in (runs, submit, steps, messages, threads, assistants, models):
        api.register_blueprint(module.routes)
    api.before_request(authenticate)
    flask_app.register_blueprint(api)
    flask_app.register_blueprint(health.routes)
    flask_app.register_blueprint(metrics.routes)
    watch(flask_app)
    flask_app.register_blueprint(reference.routes)
    flask_app.after_request(name_request)
    flask_app.register_error_handler(errors.ApiError, show_error)
    flask_app.register_error_handler(Exception, show_failure)


def parts(settings: Settings, url: str) -> Services:
    """The parts that requests share; the pool opens at the first use, in the process that uses it."""
    database = Database(url, size=settings.web_connections)
    configured = load_catalog(settings.config, os.environ).models
    names = dict.fromkeys(["scripted", *(entry.pattern for entry in configured)])
    notifier = Notifier(database)
    feed = Feed(database, notifier)
    return Services(settings, database, KeyRing(database), notifier, PollPace(database), feed, tuple(names))


def authenticate() -> None:
    """Whose request it is; also refuses clients of the API's first version."""
    g.project_id = services().keys.project_of(
        request.headers.get("Authorization"), writes=request.method not in ("GET", "HEAD", "OPTIONS")
    )
    if "assistants=v1" in request.headers.get("OpenAI-Beta", ""):
        raise errors.WrongBeta


def name_request(response: Response) -> Response:
    """Every response has a name that clients show in their errors."""
    response.headers["x-request-id"] = g.setdefault("request_id", new_id("req"))
    return response


def show_error(error: errors.ApiError) -> Response:
    """An error in its envelope."""
    response = answer(error.envelope(), error.headers)
    response.status_code = error.status
    return response


def show_failure(error: Exception) -> Response | HTTPException:
    """Whatever else went wrong, in an envelope too: nothing of it is told, all but data is logged."""
    match error:
        case NotFound():
            return show_error(errors.NoSuchRoute(method=request.method, path=request.path))
        case MethodNotAllowed():
            response = show_error(errors.WrongMethod(method=request.method, path=request.path))
            response.headers["Allow"] = ", ".join(sorted(error.valid_methods or ()))
            return response
        case HTTPException() if error.code is not None and error.code < 500:
            return wrapped(error)
        case _:
            g.request_id = new_id("req")
            _log.error("request failed", request_id=g.request_id, endpoint=request.endpoint, exc_info=error)
            response = show_error(errors.ServerError())
            response.headers["x-should-retry"] = "false"
            return response


def wrapped(error: HTTPException) -> Response | HTTPException:
    """Another of Werkzeug's errors: under the API in an envelope, elsewhere as it is."""
    if error.code == 413:
        return show_error(errors.BodyTooLarge())
    if not request.path.startswith(PREFIX) or error.code is None:
        return error
    response = show_error(errors.BadRequest(problem=error.description or error.name))
    response.status_code = error.code
    return response
