"""Drills on bad ground: behind a pooler, with wrong clocks, no connections left, a slow disk.

    PYTHONPATH=. python tests/underneath/run.py [NAME…] [--runs N] [--workers W]

Each is the drill of `counterfoil drill` on another stage, and prints its figures on one line; exit 1 when something
was doubled, lost or told wrong. What the machine lacks (Debian's pgbouncer, faketime, gcc) is skipped, and said.
"""

import argparse
import json
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from app.cli.ports import free_port_from
from app.cli.supervisor import Part
from app.drill.plan import make_plan
from app.drill.play import drill
from app.drill.stage import LEASE_S, Stage

FAKETIME: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
SLOW_DISK: Final = Path(__file__).with_name("fsync.c")
POOL: Final = """[databases]
counterfoil = host={folder} port=5432 dbname=counterfoil user=counterfoil
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 20
max_client_conn = 500
ignore_startup_parameters = extra_float_digits
logfile = {home}/pgbouncer.log
pidfile = {home}/pgbouncer.pid
"""


class Skipped(Exception):
    """This machine lacks {what}."""


class Pooled(Stage):
    """Everything but LISTEN goes through PgBouncer in transaction mode."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.port = free_port_from("127.0.0.1", 0)
        folder = parse_qs(urlsplit(self.dsn).query)["host"][0]
        place = Path(tempfile.mkdtemp(prefix="pool-", dir=self.home))
        file = place / "pgbouncer.ini"
        file.write_text(POOL.format(folder=folder, port=self.port, home=place))
        user = pwd.getpwuid(self.postgres.place.stat().st_uid)
        if os.geteuid() == 0:
            os.chown(place, user.pw_uid, user.pw_gid)
        as_user = ["-u", user.pw_name] if os.geteuid() == 0 else []
        command = [shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", *as_user, str(file)]
        self.parts.start(Part("pgbouncer", command, dict(os.environ), self.home / "run", lambda _: True))

    def more_environ(self, name: str) -> dict[str, str]:
        """Web and workers know the pooler's address, and the direct one for LISTEN."""
        pooled = f"postgresql://counterfoil@127.0.0.1:{self.port}/counterfoil"
        return {"DATABASE_URL": pooled, "LISTEN_DATABASE_URL": self.dsn}


class WrongClocks(Stage):
    """Each worker's wall clock is an hour ahead or behind."""

    def more_environ(self, name: str) -> dict[str, str]:
        """Every second worker is ahead."""
        if not name.startswith("worker"):
            return {}
        offset = "+3600" if int(name.rpartition("-")[2]) % 2 else "-3600"
        return {"LD_PRELOAD": str(FAKETIME[0]), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


class NoConnectionsLeft(Stage):
    """The server takes fewer connections than workers and web ask for."""

    server_settings: ClassVar[Mapping[str, str]] = {"max_connections": "22", "superuser_reserved_connections": "0"}


class SlowDisk(Stage):
    """Each fsync of the database's takes 200 ms longer, until its first crash in the drill."""

    def __init__(self, home: Path, *args: Any) -> None:
        library = home / "fsync.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SLOW_DISK, "-ldl"], check=True)
        before = dict(os.environ)
        os.environ |= {"LD_PRELOAD": str(library), "FSYNC_DELAY_MS": "200"}
        try:
            super().__init__(home, *args)
        finally:
            os.environ.clear()
            os.environ.update(before)


STAGES: Final[Mapping[str, tuple[type[Stage], Callable[[], object], str]]] = {
    "pgbouncer": (Pooled, lambda: shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), "pgbouncer"),
    "clocks": (WrongClocks, lambda: FAKETIME, "faketime"),
    "connections": (NoConnectionsLeft, lambda: True, ""),
    "slow-disk": (SlowDisk, lambda: shutil.which("gcc"), "gcc"),
}


def main() -> int:
    """Drill on the named stages, or on all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("names", nargs="*", metavar="NAME", help=", ".join(STAGES))
    options.add_argument("--runs", type=int, default=100)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--seed", type=int)
    asked = options.parse_args()
    bad = 0
    for name in asked.names or STAGES:
        kind, there, package = STAGES[name]
        if not there():
            print(f"{name}: skipped, this machine lacks {package}", flush=True)
            continue
        seed = secrets.randbelow(2**31) if asked.seed is None else asked.seed
        plan = make_plan(seed, asked.runs, lease_s=LEASE_S)
        result = drill(plan, workers=asked.workers, mode="enforce", progress=lambda *_: None, stage_kind=kind)
        print(f"{name}: {json.dumps({**result.figures, 'poisoned': result.more['poisoned']})}", flush=True)
        for violation in result.violations:
            print(f"    {violation}", flush=True)
        for complaint in result.more["complaints"][:5]:
            print(f"    noticed: {complaint}", flush=True)
        bad += not result.clean
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
