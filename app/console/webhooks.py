"""Webhooks: who is told when something needs a person or has ended, and whether it arrived."""

from __future__ import annotations

from flask import Blueprint

routes = Blueprint("webhooks", __name__)


@routes.get("/webhooks")
def index() -> str:
    """Not yet."""
    return "later"
