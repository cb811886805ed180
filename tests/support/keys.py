"""API keys for tests."""

import hashlib
import secrets
from typing import Any

import psycopg

from sql.execute import execute
from sql.keys import create_key


def new_key(connection: psycopg.Connection[Any], project: str = "tests") -> str:
    """A key of a project, which is made where it is new."""
    key = f"cf_{secrets.token_hex(16)}"
    execute(connection, create_key(project=project, sha256=hashlib.sha256(key.encode()).digest(), hint=key[-4:]))
    return key
