"""Official clients beside the one in the environment, Python 2.54.0 and Node 6.49.0: installed once, when missing."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from tests.support.old_openai import old_openai

NODE_VERSION: Final = "6.49.0"
PYTHON_WHEEL: Final = "openai==2.54.0 --hash=sha256:89089789197ccdb87f173a03145ed1598d00795220c93e96cf712b1cbf5e5f2b\n"


def python_path(version: str) -> dict[str, str]:
    """The variables with which `import openai` finds a version: 3.x (the environment's own), 2.54.0 or 1.109.1."""
    if version.startswith("1."):
        return {"PYTHONPATH": str(old_openai())}
    if version.startswith("2."):
        # What it needs besides itself is what version 1 needs.
        return {"PYTHONPATH": os.pathsep.join((str(openai_2()), str(old_openai())))}
    return {}


def openai_2() -> Path:
    """The folder that holds the Python client's version 2.54.0, and nothing else."""
    return installed("openai-2.54.0", install_openai_2)


def node_client() -> Path:
    """The folder in whose `node_modules` the Node client lies."""
    return installed(f"openai-node-{NODE_VERSION}", install_node_client)


def installed(name: str, install: Callable[[Path], None]) -> Path:
    """A folder beside the environment's libraries, which gets its name only when it is complete."""
    folder = Path(sys.prefix) / name
    with (Path(sys.prefix) / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist's workers come at the same time
        if not folder.exists():
            unfinished = folder.with_name(f"{name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            install(unfinished)
            unfinished.rename(folder)
    return folder


def install_openai_2(folder: Path) -> None:
    """From the wheel with a known hash."""
    wanted = folder / "wanted.txt"
    wanted.write_text(PYTHON_WHEEL)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    command = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    options = ["--quiet", "--no-deps", "--target", str(folder), "--require-hashes", "-r", str(wanted)]
    subprocess.run([*command, *options], check=True, stdin=subprocess.DEVNULL)


def install_node_client(folder: Path) -> None:
    """By npm; it has no dependencies."""
    (folder / "package.json").write_text('{"private": true}')
    options = ["--silent", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    subprocess.run(
        ["npm", "install", *options, f"openai@{NODE_VERSION}"], cwd=folder, check=True, stdin=subprocess.DEVNULL
    )
