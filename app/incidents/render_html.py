"""The explanation as one self-contained page."""

from __future__ import annotations

from html import escape

from app.incidents.answer import Explanation
from app.incidents.render_text import render_text


def render_html(explanation: Explanation) -> str:
    """Return the page."""
    return f"<!doctype html><pre>{escape(render_text(explanation))}</pre>\n"
