"""The agent API: the wire of the Assistants API (docs/api.md), one module for each resource."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


def register(flask_app: Flask, settings: Settings) -> None:
    """Adds the API to the application; Flask is imported here, since the command line imports this package."""
    from app.api import tool_events  # noqa: PLC0415
    from app.api.routes import add_routes  # noqa: PLC0415

    add_routes(flask_app, settings)
    tool_events.register(flask_app, settings)
