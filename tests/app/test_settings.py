"""Settings: defaults, every kind of value, and one line that says what would be right."""

import dataclasses
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.settings import Settings, SettingsError

RIGHT = [
    ("DATABASE_URL", "postgres://a@h/x", "database_url", "postgresql://a@h/x"),
    ("LISTEN_DATABASE_URL", "none", "listen_database_url", "none"),
    ("COUNTERFOIL_HOME", "/var/lib/x", "home", Path("/var/lib/x")),
    ("COUNTERFOIL_CONFIG", "/etc/x.toml", "config", Path("/etc/x.toml")),
    ("HOST", "0.0.0.0", "host", "0.0.0.0"),
    ("PORT", "0", "port", 0),
    ("WEB_CONCURRENCY", "1", "web_concurrency", 1),
    ("WEB_THREADS", "4", "web_threads", 4),
    ("WORKER_SLOTS", "50", "worker_slots", 50),
    ("LEASE_S", "0.5", "lease_s", 0.5),
    ("POLL_S", "0.05", "poll_s", 0.05),
    ("CLOCK_SLACK_S", "0", "clock_slack_s", 0.0),
    ("RUN_TTL_S", "600", "run_ttl_s", 600.0),
    ("OPERATOR_TTL_S", "1e5", "operator_ttl_s", 100_000.0),
    ("STUCK_AFTER_S", "2", "stuck_after_s", 2.0),
    ("LEDGER", "observe", "ledger", "observe"),
    ("PAYLOAD_KEY", "ab" * 32, "payload_keys", (b"\xab" * 32,)),
    ("PAYLOAD_KEY", "_" * 42 + "8", "payload_keys", (b"\xff" * 32,)),
    ("PAYLOAD_DAYS", "0", "payload_days", 0.0),
    ("FINGERPRINT_KEY", "k" * 16, "fingerprint_key", b"k" * 16),
    ("SECRET_KEY", "s" * 16, "secret_key", "s" * 16),
    ("DRAIN_S", "0", "drain_s", 0.0),
]

WRONG = [
    ("DATABASE_URL", "mysql://u:hunter2@h/x", "a Postgres URL such as postgresql://user:password@host:5432/database"),
    ("DATABASE_URL", "localhost", "a Postgres URL such as postgresql://user:password@host:5432/database"),
    ("LISTEN_DATABASE_URL", "off", "a direct Postgres URL, or none to poll only"),
    ("HOST", "http://x/", "an address such as 127.0.0.1 or 0.0.0.0"),
    ("PORT", "65536", "a whole number from 0 to 65535"),
    ("PORT", "8000.5", "a whole number from 0 to 65535"),
    ("PORT", "٣", "a whole number from 0 to 65535"),
    ("WEB_CONCURRENCY", "0", "a whole number from 1 to 1000"),
    ("WORKER_SLOTS", "-5", "a whole number from 1 to 100000"),
    ("LEASE_S", "0", "a number of seconds over 0"),
    ("LEASE_S", "nan", "a number of seconds over 0"),
    ("POLL_S", "inf", "a number of seconds over 0"),
    ("CLOCK_SLACK_S", "-1", "a number of seconds, 0 or more"),
    ("RUN_TTL_S", "10 min", "a number of seconds over 0"),
    ("PAYLOAD_DAYS", "a month", "a number of days, 0 or more"),
    ("LEDGER", "on", "off, observe or enforce"),
    ("PAYLOAD_KEY", "short", "32 random bytes in base64 or hex, as `openssl rand -base64 32` makes them"),
    ("FINGERPRINT_KEY", "short", "at least 16 characters"),
    ("SECRET_KEY", "short", "at least 16 characters"),
    ("DRAIN_S", "soon", "a number of seconds, 0 or more"),
]


def test_defaults() -> None:
    settings = Settings.from_environment({})
    relative = dataclasses.replace(settings, home=Path(".counterfoil"), config=Path("counterfoil.toml"))
    assert relative == Settings()
    assert settings.home == Path.cwd() / ".counterfoil"


@pytest.mark.parametrize(("variable", "value", "field", "expected"), RIGHT)
def test_right_values(variable: str, value: str, field: str, expected: object) -> None:
    assert getattr(Settings.from_environment({variable: value}), field) == expected


def test_every_field_has_its_variable() -> None:
    renamed = {"COUNTERFOIL_HOME": "home", "COUNTERFOIL_CONFIG": "config", "PAYLOAD_KEY": "payload_keys"}
    covered = {renamed.get(variable, variable.lower()) for variable, *_ in RIGHT}
    assert covered == {field.name for field in dataclasses.fields(Settings)}


@pytest.mark.parametrize(("variable", "value", "wanted"), WRONG)
def test_wrong_values_are_one_line(variable: str, value: str, wanted: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({variable: value})
    line = str(caught.value)
    assert line.startswith(f"{variable} is ")
    assert line.endswith(f"it must be {wanted}")
    assert "\n" not in line


@pytest.mark.parametrize("variable", ["PAYLOAD_KEY", "FINGERPRINT_KEY", "SECRET_KEY"])
def test_secrets_are_not_shown(variable: str) -> None:
    with pytest.raises(SettingsError, match=f"^{variable} is 'a secret';"):
        Settings.from_environment({variable: "hunter2"})


def test_passwords_are_not_shown() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_environment({"DATABASE_URL": "mysql://u:hunter2@h/x"})
    assert "hunter2" not in str(caught.value)
    assert "mysql://u:***@h/x" in str(caught.value)


def test_an_empty_variable_is_unset() -> None:
    assert Settings.from_environment({"PORT": "", "LEDGER": " "}) == Settings.from_environment({})


def test_where_to_listen() -> None:
    url = "postgresql://h/x"
    assert Settings(database_url=url).listen_url == url
    assert Settings(database_url=url, listen_database_url="postgresql://direct/x").listen_url == "postgresql://direct/x"
    assert Settings(database_url=url, listen_database_url="none").listen_url is None


def test_the_session_key_is_made_once_and_kept(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "new")
    with ThreadPoolExecutor(8) as several:
        keys = set(several.map(lambda _: settings.kept_secret_key(), range(16)))
    assert len(keys) == 1
    assert stat.S_IMODE((settings.home / "secret_key").stat().st_mode) == 0o600
    assert [file.name for file in settings.home.iterdir()] == ["secret_key"]
    assert Settings(home=settings.home, secret_key="given by hand").kept_secret_key() == "given by hand"
