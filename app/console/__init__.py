"""The operators' console: see what is stuck, understand why, settle it with evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from app.settings import Settings


def register(flask_app: Flask, settings: Settings) -> None:
    """Adds the console to the application; Flask is imported here, since the command line imports this package."""
    from app.console.wiring import add_console  # noqa: PLC0415

    add_console(flask_app, settings)
