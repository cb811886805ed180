"""What demo and drill share: a temporary home, and the environment of processes that live in it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from app.cli.errors import CommandError
from sql.binaries import EmbeddedError
from sql.embedded import EmbeddedPostgres

# Of our own environment, what processes need to start at all; no setting of the user's own system.
INHERITED: Final = ("PATH", "HOME", "LANG", "TMPDIR", "USER", "VIRTUAL_ENV", "TZ")
INHERITED_KINDS: Final = ("LC_", "LD_", "DYLD_", "PYTHON")


@contextmanager
def temporary_home(prefix: str) -> Iterator[Path]:
    """A folder that is removed at the end; so are those with this prefix of commands that were killed."""
    for left in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError, EmbeddedError):
            if left.stat().st_uid == os.geteuid() and EmbeddedPostgres(left).stop_unused():
                shutil.rmtree(left)
    try:
        home = Path(tempfile.mkdtemp(prefix=prefix))
    except OSError as error:
        raise CommandError(f"no temporary folder can be made ({error}): set TMPDIR") from error
    home.chmod(0o755)  # as root, Postgres runs as another account and must reach it
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


def environ_in(home: Path, dsn: str, sandbox_url: str, *more: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process in that home; of `more`, the later ones are stronger."""
    kept = {name: value for name, value in os.environ.items() if name in INHERITED or name.startswith(INHERITED_KINDS)}
    environ = {
        **kept,
        "DATABASE_URL": dsn,
        "COUNTERFOIL_HOME": str(home),
        "COUNTERFOIL_CONFIG": str(home / "counterfoil.toml"),
        "SANDBOX_URL": sandbox_url,
    }
    for one in more:
        environ |= one
    return environ
