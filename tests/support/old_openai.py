"""The official client's version 1.109.1 in a folder of its own, installed once from its lock when missing."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
LOCK: Final = ROOT / "requirements-openai-1.lock"


def old_openai() -> Path:
    """The folder to put on PYTHONPATH, so that `import openai` finds the old version."""
    stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest()[:16]
    folder = Path(sys.prefix) / f"openai-1.109.1-{stamp}"
    with (Path(sys.prefix) / ".openai-1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist's workers come at the same time
        if not folder.exists():
            install(folder)
    return folder


def install(folder: Path) -> None:
    """Installs into a folder that gets its name only when complete."""
    unfinished = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    command = [uv, "pip", "install", "--python", sys.executable] if uv else [sys.executable, "-m", "pip", "install"]
    options = ["--quiet", "--target", str(unfinished), "--require-hashes", "-r", str(LOCK)]
    subprocess.run([*command, *options], check=True, stdin=subprocess.DEVNULL)
    unfinished.rename(folder)
