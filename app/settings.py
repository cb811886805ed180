"""What the environment says, read once and checked as a whole."""

from __future__ import annotations

import base64
import binascii
import math
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeVar, cast

T = TypeVar("T")
Ledger = Literal["off", "observe", "enforce"]
LEDGERS: Final = ("off", "observe", "enforce")
POLL_ONLY: Final = "none"
SPARE_CONNECTIONS: Final = 2  # of a web process: for the notifier, and for a check of health while all threads are busy
# At most: claims, leases, housekeeping, LISTEN, webhooks, remote threads, six kinds of batches.
WORKER_CONNECTIONS: Final = 12


class SettingsError(Exception):
    """A variable has a value that cannot be used: which, what it is, what would be right, in one line."""

    def __init__(self, variable: str, value: str, wanted: str) -> None:
        self.variable, self.value, self.wanted = variable, value, wanted
        super().__init__(f"{variable} is {value!r}; it must be {wanted}")


@dataclass(frozen=True)
class Settings:
    """The settings of every process; field names are the variables' in lower case, times are seconds.

    None means, of `database_url`: the embedded Postgres under `home`; of `listen_database_url`: the same as
    `database_url` ("none": nothing listens, all poll); of `drain_s`: the longest `timeout_s` + 2 s; of
    `secret_key`: the one that `kept_secret_key` keeps.
    """

    database_url: str | None = None
    listen_database_url: str | None = None
    home: Path = Path(".counterfoil")
    config: Path = Path("counterfoil.toml")
    host: str = "127.0.0.1"
    port: int = 8000
    web_concurrency: int = 2
    web_threads: int = 16
    worker_slots: int = 500
    lease_s: float = 30.0
    poll_s: float = 1.0
    clock_slack_s: float = 1.0
    run_ttl_s: float = 600.0
    operator_ttl_s: float = 86400.0
    stuck_after_s: float = 120.0
    ledger: Ledger = "enforce"
    payload_keys: tuple[bytes, ...] = ()
    payload_days: float = 30.0
    fingerprint_key: bytes | None = None
    secret_key: str | None = None
    drain_s: float | None = None

    @property
    def web_connections(self) -> int:
        """To the database, at most, of one process of the web."""
        return self.web_threads + SPARE_CONNECTIONS

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Settings:
        """Read and check every variable, empty counting as unset; `SettingsError` for the first wrong one."""
        read = Reader(environ)
        return cls(
            database_url=read.optional("DATABASE_URL", database_url),
            listen_database_url=read.optional("LISTEN_DATABASE_URL", listen_url),
            home=read.one("COUNTERFOIL_HOME", Path, cls.home).absolute(),
            config=read.one("COUNTERFOIL_CONFIG", Path, cls.config).absolute(),
            host=read.one("HOST", host_name, cls.host),
            port=read.one("PORT", integer(0, 65535), cls.port),
            web_concurrency=read.one("WEB_CONCURRENCY", integer(1, 1000), cls.web_concurrency),
            web_threads=read.one("WEB_THREADS", integer(1, 10000), cls.web_threads),
            worker_slots=read.one("WORKER_SLOTS", integer(1, 100_000), cls.worker_slots),
            lease_s=read.one("LEASE_S", seconds(more_than=0), cls.lease_s),
            poll_s=read.one("POLL_S", seconds(more_than=0), cls.poll_s),
            clock_slack_s=read.one("CLOCK_SLACK_S", seconds(), cls.clock_slack_s),
            run_ttl_s=read.one("RUN_TTL_S", seconds(more_than=0), cls.run_ttl_s),
            operator_ttl_s=read.one("OPERATOR_TTL_S", seconds(), cls.operator_ttl_s),
            stuck_after_s=read.one("STUCK_AFTER_S", seconds(), cls.stuck_after_s),
            ledger=read.one("LEDGER", ledger, cls.ledger),
            payload_keys=read.one("PAYLOAD_KEY", keys_of_32_bytes, cls.payload_keys),
            payload_days=read.one("PAYLOAD_DAYS", number_of_days, cls.payload_days),
            fingerprint_key=read.optional("FINGERPRINT_KEY", fingerprint_key),
            secret_key=read.optional("SECRET_KEY", session_key),
            drain_s=read.optional("DRAIN_S", seconds()),
        )

    @property
    def listen_url(self) -> str | None:
        """Where to LISTEN; None means poll only."""
        return None if self.listen_database_url == POLL_ONLY else self.listen_database_url or self.database_url

    def kept_secret_key(self) -> str:
        """The key of console sessions: the variable's, else one made once and kept under `home`."""
        return self.secret_key or keep_secret(self.home / "secret_key")


class WantedError(Exception):
    """What a value should have been; `Reader` adds the variable and the value."""


class Reader:
    """Reads variables one by one, each by a parser that raises `WantedError`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ

    def optional(self, variable: str, parse: Callable[[str], T]) -> T | None:
        """The parsed value, or None where unset."""
        value = self.environ.get(variable, "").strip()
        if not value:
            return None
        try:
            return parse(value)
        except WantedError as wanted:
            shown = "a secret" if variable in SECRETS else hide_password(value)
            raise SettingsError(variable, shown, str(wanted)) from None

    def one(self, variable: str, parse: Callable[[str], T], default: T) -> T:
        """The parsed value, or the default where unset."""
        value = self.optional(variable, parse)
        return default if value is None else value


SECRETS: Final = frozenset({"PAYLOAD_KEY", "FINGERPRINT_KEY", "SECRET_KEY"})


def database_url(value: str) -> str:
    """A Postgres URL; `postgres://` is accepted and written out."""
    scheme, separator, rest = value.partition("://")
    if separator and scheme in {"postgresql", "postgres"}:
        return f"postgresql://{rest}"
    raise WantedError("a Postgres URL such as postgresql://user:password@host:5432/database")


def listen_url(value: str) -> str:
    """A Postgres URL, or the word that nothing listens."""
    if value == POLL_ONLY:
        return POLL_ONLY
    try:
        return database_url(value)
    except WantedError:
        raise WantedError("a direct Postgres URL, or none to poll only") from None


def host_name(value: str) -> str:
    """An address or host name to listen at."""
    if any(letter.isspace() or letter in "/@" for letter in value):
        raise WantedError("an address such as 127.0.0.1 or 0.0.0.0")
    return value


def integer(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(value: str) -> int:
        if value.isascii() and value.isdigit() and least <= int(value[:12]) <= most:
            return int(value)
        raise WantedError(f"a whole number from {least} to {most}")

    return parse


def seconds(*, more_than: float | None = None) -> Callable[[str], float]:
    """A parser of seconds, fractions allowed: at least 0, or more than `more_than`."""

    def parse(value: str) -> float:
        wanted = WantedError("a number of seconds" + (", 0 or more" if more_than is None else f" over {more_than:g}"))
        try:
            found = float(value)
        except ValueError:
            raise wanted from None
        if not math.isfinite(found) or found < 0 or (more_than is not None and found <= more_than):
            raise wanted
        return found

    return parse


def number_of_days(value: str) -> float:
    """Days, fractions allowed."""
    try:
        return seconds()(value)
    except WantedError:
        raise WantedError("a number of days, 0 or more") from None


def ledger(value: str) -> Ledger:
    """A mode of the ledger."""
    if value in LEDGERS:
        return cast("Ledger", value)
    raise WantedError("off, observe or enforce")


def keys_of_32_bytes(value: str) -> tuple[bytes, ...]:
    """Keys parted by commas: the first one seals, the others still open what they have sealed."""
    return tuple(key_of_32_bytes(part.strip()) for part in value.split(","))


def key_of_32_bytes(value: str) -> bytes:
    """An encryption key: 32 bytes in base64 or hex."""
    for decode in (bytes.fromhex, decode_base64):
        try:
            key = decode(value)
        except (ValueError, binascii.Error):
            continue
        if len(key) == 32:
            return key
    raise WantedError("32 random bytes in base64 or hex, as `openssl rand -base64 32` makes them")


def decode_base64(value: str) -> bytes:
    """Base64, also in the alphabet for URLs, with or without padding."""
    plain = value.translate({ord("-"): "+", ord("_"): "/"}).rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)


def fingerprint_key(value: str) -> bytes:
    """The text itself, long enough not to be guessed."""
    if len(value) >= 16:
        return value.encode()
    raise WantedError("at least 16 characters")


def session_key(value: str) -> str:
    """A text long enough not to be guessed."""
    if len(value) >= 16:
        return value
    raise WantedError("at least 16 characters")


def hide_password(value: str) -> str:
    """The value with what stands between `:` and `@` hidden, as messages show it."""
    before, separator, after = value.rpartition("@")
    scheme, mark, account = before.rpartition("://")
    user, colon, _ = account.partition(":")
    return f"{scheme}{mark}{user}:***@{after}" if separator and colon else value


def keep_secret(path: Path) -> str:
    """The secret in a file of mode 0600, made by whoever comes first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
        try:
            os.link(unfinished, path)  # never overwrites: a second starter reads the first one's
        except FileExistsError:
            pass
        finally:
            unfinished.unlink()
    return path.read_text().strip()
