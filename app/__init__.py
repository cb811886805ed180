"""What people and clients touch: the agent API, the operators' console, the command line."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings

VERSION: Final = "0.1.0"
PARTS: Final = ("app.api", "app.console")  # each has `register(flask_app, settings)`


def create_app(settings: Settings | None = None) -> Flask:
    """The WSGI application; `settings` are the environment's where none are given.

    Flask is imported here and not above, because the command line and the worker import this package too.
    """
    from importlib import import_module  # noqa: PLC0415

    from flask import Flask  # noqa: PLC0415

    from app import logs  # noqa: PLC0415
    from app.settings import Settings  # noqa: PLC0415

    logs.configure("web")
    chosen = settings or Settings.from_environment(os.environ)
    flask_app = Flask("app", static_folder=None)
    flask_app.url_map.merge_slashes = False  # an empty id is a 404, not a redirect
    flask_app.extensions["counterfoil_settings"] = chosen
    for part in PARTS:
        module = import_module(part)
        if hasattr(module, "register"):
            module.register(flask_app, chosen)
    return flask_app
