"""Drills on bad ground: a pooler, wrong clocks, no connections, slow, failing and full disks, a line that drops.

    PYTHONPATH=. python tests/underneath/run.py [NAME…] [--runs N] [--workers W]

Each is the drill of `counterfoil drill` on another stage, and prints its figures on one line; exit 1 when something
was doubled, lost or told wrong. What the machine lacks (pgbouncer, faketime, gcc, socat; root) is skipped, and said.
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
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final
from urllib.parse import parse_qs, urlsplit

from psycopg.pq import PGconn, Ping

from app.cli.ports import free_port_from
from app.cli.supervisor import Part
from app.drill.plan import make_plan
from app.drill.play import drill
from app.drill.stage import LEASE_S, Stage
from sql.binaries import drop_to

FAKETIME: Final = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
SOURCE: Final = Path(__file__).with_name("fsync.c")
# Lines between the hosts of `network`, by name; addresses for measurements (RFC 2544), in a namespace of our own.
LINES: Final = {"cf-db": "198.18.1", "cf-tools": "198.18.2"}
CLEANING: Final[list[list[str]]] = []
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


def preload_fsync(home: Path, **settings: str) -> None:
    """Servers that are started from now on sync by `fsync.c`; the other parts are not told the settings."""
    library = home / "fsync.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl"], check=True)
    os.environ |= {"LD_PRELOAD": str(library), **settings}


class SlowDisk(Stage):
    """Each fsync of the database's takes 200 ms longer, once its files are there (initdb alone has a thousand)."""

    # Else recovery syncs each file by itself, for minutes.
    server_settings: ClassVar[Mapping[str, str]] = {"recovery_init_sync_method": "syncfs"}

    def __init__(self, home: Path, *args: Any) -> None:
        super().__init__(home, *args)
        self.postgres.crash()
        preload_fsync(home, FSYNC_DELAY_MS="200")
        self.postgres.restart()


class Troubled(Stage):
    """Something beneath breaks again and again, `pause_s` apart, until all turns were played."""

    pause_s = 4.0

    def start(self, workers: int) -> None:
        """Trouble begins when all is ready."""
        super().start(workers)
        self.times = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._go_on, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No trouble after the end; a stage that never began has none."""
        if hasattr(self, "_thread"):
            self._over.set()
            self._thread.join()
            print(f"    trouble: {self.times} times", flush=True)
        super().end()

    def _go_on(self) -> None:
        while not self._over.wait(self.pause_s) and self.armed:
            self.trouble()
            self.times += 1
            if PGconn.ping(self.dsn.encode()) == Ping.NO_RESPONSE:  # trouble during recovery: Postgres gives up
                self.postgres.restart()

    def last(self, seconds: float) -> None:
        """The trouble lasts; shorter where the drill ends meanwhile."""
        self._over.wait(seconds)

    def trouble(self) -> None:
        """Break something; mended when this returns."""
        raise NotImplementedError


class FailingDisk(Troubled):
    """Every few seconds one fsync of the database's fails with EIO: Postgres panics and recovers by itself."""

    def __init__(self, home: Path, *args: Any) -> None:
        self.marks = home / "marks"
        preload_fsync(home, FSYNC_FAIL_FILE=str(self.marks / "fail"))
        super().__init__(home, *args)
        self.marks.mkdir()
        self.marks.chmod(0o777)  # the server removes the mark, by another account

    def trouble(self) -> None:
        """The next fsync of anybody's fails."""
        (self.marks / "fail").touch()
        self.last(2.0)


class FullDisk(Troubled):
    """The database's disk, a small tmpfs, is full for three seconds of every seven."""

    def __init__(self, home: Path, *args: Any) -> None:
        place = home / "postgres"
        place.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300m,mode=700", "tmpfs", place], check=True)
        CLEANING.append(["umount", "-l", str(place)])
        if (account := drop_to()) is not None:
            os.chown(place, account.pw_uid, account.pw_gid)
        super().__init__(home, *args)
        self.ballast = place / "ballast"

    def trouble(self) -> None:
        """Fill what is left, and what is freed meanwhile."""
        with self.ballast.open("wb", buffering=0) as file:
            until = time.monotonic() + 3.0
            while time.monotonic() < until:
                try:
                    file.write(b"0" * 65536)
                except OSError:
                    self.last(0.05)
        self.ballast.unlink()
        self.last(2.0)


class LostNetwork(Troubled):
    """Workers live on a host of their own, whose line to the database is dead for 40 s; the one to the tools is not."""

    pause_s = 8.0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.host = f"cf-{os.getpid()}"
        run_ip("netns", "add", self.host)
        CLEANING.append(["ip", "netns", "del", self.host])
        run_ip("-n", self.host, "link", "set", "lo", "up")
        for line, net in LINES.items():
            run_ip("link", "add", line, "type", "veth", "peer", "name", "far", "netns", self.host)
            CLEANING.insert(0, ["ip", "link", "del", line])
            run_ip("-n", self.host, "link", "set", "far", "name", line)
            run_ip("addr", "add", f"{net}.1/24", "dev", line)
            run_ip("-n", self.host, "addr", "add", f"{net}.2/24", "dev", line)
            run_ip("link", "set", line, "up")
            run_ip("-n", self.host, "link", "set", line, "up")
        folder = parse_qs(urlsplit(self.dsn).query)["host"][0]
        self._forward(f"{LINES['cf-db']}.1", 5432, f"UNIX-CONNECT:{folder}/.s.PGSQL.5432")
        self.tools_port = int(self.sandbox_url.rpartition(":")[2])
        self._forward(f"{LINES['cf-tools']}.1", self.tools_port, f"TCP:127.0.0.1:{self.tools_port}")

    def more_environ(self, name: str) -> dict[str, str]:
        """A worker reaches both by their lines."""
        if not name.startswith("worker"):
            return {}
        there = f"postgresql://counterfoil@{LINES['cf-db']}.1:5432/counterfoil"
        return {"DATABASE_URL": there, "SANDBOX_URL": f"http://{LINES['cf-tools']}.1:{self.tools_port}"}

    def trouble(self) -> None:
        """The line to the database is dead; nobody is told. Once leases are over, nothing may be sent any more."""
        run_ip("link", "set", "cf-db", "down")
        self.last(LEASE_S + 3.0)
        before = self.requests()
        self.last(40.0 - LEASE_S - 3.0)
        self.sent_without_lease = getattr(self, "sent_without_lease", 0) + self.requests() - before
        run_ip("link", "set", "cf-db", "up")
        print(f"    sent by workers that could not renew: {self.sent_without_lease}", flush=True)

    def requests(self) -> int:
        """How many requests the outside world has begun to answer."""
        return len(self.outside("/requests?limit=1000000"))

    def _start(self, name: str, command: Any, *rest: Any) -> Part:
        inside = ["ip", "netns", "exec", self.host] if name.startswith("worker") else []
        return super()._start(name, [*inside, *command], *rest)

    def _forward(self, address: str, port: int, there: str) -> None:
        listen = f"TCP-LISTEN:{port},bind={address},fork,reuseaddr"
        part = Part(f"line-{port}", ["socat", listen, there], dict(os.environ), self.home / "run", lambda _: True)
        self.parts.start(part)


def run_ip(*words: str) -> None:
    """One command of iproute2's."""
    subprocess.run(["ip", *words], check=True)


STAGES: Final[Mapping[str, tuple[type[Stage], Callable[[], object], str]]] = {
    "pgbouncer": (Pooled, lambda: shutil.which("pgbouncer", path="/usr/sbin:/usr/bin"), "pgbouncer"),
    "clocks": (WrongClocks, lambda: FAKETIME, "faketime"),
    "connections": (NoConnectionsLeft, lambda: True, ""),
    "slow-disk": (SlowDisk, lambda: shutil.which("gcc"), "gcc"),
    "failing-disk": (FailingDisk, lambda: shutil.which("gcc"), "gcc"),
    "full-disk": (FullDisk, lambda: os.geteuid() == 0, "root, to mount a small disk"),
    "network": (
        LostNetwork,
        lambda: os.geteuid() == 0 and shutil.which("ip") and shutil.which("socat"),
        "root and socat",
    ),
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
        before = dict(os.environ)
        try:
            result = drill(plan, workers=asked.workers, mode="enforce", progress=lambda *_: None, stage_kind=kind)
        finally:
            os.environ.clear()
            os.environ.update(before)
            while CLEANING:
                subprocess.run(CLEANING.pop(0), check=False)
        print(f"{name}: {json.dumps({**result.figures, 'poisoned': result.more['poisoned']})}", flush=True)
        for violation in result.violations:
            print(f"    {violation}", flush=True)
        for complaint in result.more["complaints"][:5]:
            print(f"    noticed: {complaint}", flush=True)
        bad += not result.clean
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
