"""axe-core, the rules of accessibility: fetched once by npm at a pinned version, checked against its hash, not kept."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

VERSION: Final = "4.14.1"
SHA512: Final = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="


def axe_source() -> str | None:
    """The script's text; None where there is no npm to fetch it with."""
    kept = Path(sys.prefix) / f"axe-{VERSION}.min.js"
    with (Path(sys.prefix) / ".axe.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # xdist's workers come at the same time
        if not kept.exists():
            if shutil.which("npm") is None:
                return None
            fetch(kept)
    return kept.read_text(encoding="utf-8")


def fetch(kept: Path) -> None:
    """Packs the pinned version, compares its hash, and keeps its one file."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "pack", "--silent", f"axe-core@{VERSION}"]
        subprocess.run(command, cwd=folder, check=True, stdin=subprocess.DEVNULL, capture_output=True)
        package = Path(folder) / f"axe-core-{VERSION}.tgz"
        found = base64.b64encode(hashlib.sha512(package.read_bytes()).digest()).decode()
        assert found == SHA512, f"axe-core {VERSION} is not what it was: {found}"
        with tarfile.open(package) as archive:
            member = archive.extractfile("package/axe.min.js")
            assert member is not None
            unfinished = kept.with_suffix(".unfinished")
            unfinished.write_bytes(member.read())
    unfinished.rename(kept)
