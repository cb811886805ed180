"""The embedded server in the situations that break launchers: crashes, races, roots, odd paths."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.pq import PGconn, Ping

from sql.binaries import ELSEWHERE
from sql.embedded import EmbeddedError, EmbeddedPostgres
from tests.support.processes import ROOT, wait_until

FAST = {"fsync": "off", "full_page_writes": "off"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")

USER = """
import os, sys
from pathlib import Path
from sql.embedded import EmbeddedPostgres
import psycopg, psutil, traceback
if "nobody" in sys.argv:  # after the imports: Python itself may lie in root's closed home
    os.setgroups([]), os.setgid(65534), os.setuid(65534)
with EmbeddedPostgres(Path(sys.argv[1]), settings={"fsync": "off"}) as server:
    with psycopg.connect(server.dsn()) as connection:  # "if not exists" alone is no help against others at once
        connection.execute("select pg_advisory_xact_lock(1)")
        connection.execute("create table if not exists t (n int)")
        connection.execute("insert into t values (1)")
    print("ready", flush=True)
    if "stay" in sys.argv:
        sys.stdin.read()
"""


def other_user(home: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """Another process that uses the server under `home`; with "stay", until its stdin is closed; also as "nobody"."""
    return subprocess.Popen(
        [sys.executable, "-B", "-c", USER, str(home), *words],
        cwd=ROOT,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        **options,
    )


def answers(server: EmbeddedPostgres) -> bool:
    """Whether a server answers at the address, whoever started it."""
    return Ping(PGconn.ping(server.dsn().encode())) == Ping.OK


def count(server: EmbeddedPostgres) -> int:
    """Rows of the table `t`."""
    with psycopg.connect(server.dsn()) as connection:
        row = connection.execute("select count(*) from t").fetchone()
    assert row is not None
    return int(row[0])


def with_table(home: Path) -> EmbeddedPostgres:
    """A started server with the table `t` of one row, committed."""
    server = EmbeddedPostgres(home, settings=FAST)
    server.start()
    with psycopg.connect(server.dsn()) as connection:
        connection.execute("create table t as select 1 as n")
    return server


def test_data_stay_and_nothing_runs_between(open_folder: Path) -> None:
    server = with_table(open_folder)
    assert server.postmaster_pid()
    server.stop()
    assert not answers(server)
    assert server.postmaster_pid() is None
    with server:
        assert count(server) == 1


def test_nothing_listens_on_the_network_and_the_socket_is_private(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=FAST) as server, psycopg.connect(server.dsn()) as connection:
        assert connection.execute("show listen_addresses").fetchone() == ("",)
        assert connection.execute("show data_checksums").fetchone() == ("on",)
        folder = Path(str(connection.info.host))
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_the_last_user_stops_it(open_folder: Path) -> None:
    first, second = EmbeddedPostgres(open_folder, settings=FAST), EmbeddedPostgres(open_folder)
    first.start()
    second.start()
    first.stop()
    assert answers(second)
    second.stop()
    assert not answers(second)


def test_many_starters_at_once(open_folder: Path) -> None:
    users = [other_user(open_folder) for _ in range(4)]
    assert [user.wait(60) for user in users] == [0, 0, 0, 0]
    server = EmbeddedPostgres(open_folder)
    assert not answers(server)
    with server:
        assert count(server) == 4


def test_killed_server_recovers(open_folder: Path) -> None:
    server = with_table(open_folder)
    pid = server.postmaster_pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    with EmbeddedPostgres(open_folder, settings=FAST) as again:
        assert count(again) == 1
    assert answers(server), "the first user is still counted"
    server.stop()
    assert not answers(server)


def test_killed_server_leaves_a_busy_child(open_folder: Path) -> None:
    server = with_table(open_folder)
    busy = psycopg.connect(server.dsn(), autocommit=True)
    busy.pgconn.send_query(b"select pg_sleep(600)")
    pid = server.postmaster_pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    with EmbeddedPostgres(open_folder, settings=FAST) as again:
        assert count(again) == 1
    busy.close()
    server.stop()


def test_a_pid_file_that_names_a_living_stranger(open_folder: Path) -> None:
    with_table(open_folder).crash()
    server = EmbeddedPostgres(open_folder, settings=FAST)
    stranger = f"{os.getpid()}\n{server.data}\n1\n5432\n{server.data}\n\n0 0\nready   \n"
    (server.data / "postmaster.pid").write_text(stranger)
    with server:
        assert count(server) == 1


def test_killed_only_user_leaves_a_server_that_the_next_one_takes_over(open_folder: Path) -> None:
    user = other_user(open_folder, "stay")
    assert user.stdout
    assert user.stdout.readline() == "ready\n"
    user.kill()
    user.wait()
    server = EmbeddedPostgres(open_folder)
    assert answers(server)
    before = server.postmaster_pid()
    with server:
        assert server.postmaster_pid() == before
    assert not answers(server)


def test_stop_unused(open_folder: Path) -> None:
    user = other_user(open_folder, "stay")
    assert user.stdout
    assert user.stdout.readline() == "ready\n"
    server = EmbeddedPostgres(open_folder)
    assert not server.stop_unused()
    assert answers(server)
    user.kill()
    user.wait()
    assert server.stop_unused()
    assert not answers(server)


def test_a_server_that_somebody_is_starting_counts_as_used(open_folder: Path) -> None:
    """Its first start may take minutes on a slow disk: who sweeps leftovers must not wait for that."""
    with (open_folder / "postgres.starters").open("w") as starters:
        fcntl.flock(starters, fcntl.LOCK_EX)
        assert not EmbeddedPostgres(open_folder).stop_unused()


def test_a_child_that_holds_the_lock_counts_as_a_user(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=FAST) as server:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=[server.share_with_child()],
        )
    assert answers(server)
    assert child.stdin
    child.stdin.close()
    child.wait()
    with server:
        pass
    assert not answers(server)


def test_crash_and_restart_keep_what_was_committed(open_folder: Path) -> None:
    server = with_table(open_folder)
    server.crash()
    assert not answers(server)
    server.restart()
    assert count(server) == 1
    server.restart()
    assert count(server) == 1
    server.stop()


@pytest.mark.parametrize("name", ["with space", "l" * 120, "käse, 'quoted' 100%", "a/b/c"])
def test_odd_paths(open_folder: Path, name: str) -> None:
    with EmbeddedPostgres(open_folder / name, settings=FAST) as server:
        dsn = server.dsn()
        with psycopg.connect(dsn) as connection:
            socket_folder = Path(str(connection.info.host))
    assert len(str(socket_folder)) <= 90
    if not socket_folder.is_relative_to(open_folder):
        socket_folder.rmdir()


def test_a_socket_folder_that_was_swept_away(open_folder: Path) -> None:
    server = with_table(open_folder / "with space")
    with psycopg.connect(server.dsn()) as connection:
        folder = Path(str(connection.info.host))
    server.stop()
    folder.rmdir()
    with server:
        assert count(server) == 1
    folder.rmdir()


def test_variables_of_libpq_do_not_reach_it(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PGPORT": "1",
        "PGDATA": "/nowhere",
        "PGHOST": "gone",
        "PGUSER": "x",
        "PGDATABASE": "y",
    }.items():
        monkeypatch.setenv(name, value)
    with EmbeddedPostgres(open_folder, settings=FAST) as server:
        assert answers(server)


def test_the_log_quotes_no_rows(open_folder: Path) -> None:
    with with_table(open_folder) as server:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute("create table secret (word text unique)")
            connection.execute("insert into secret values ('hunter2')")
            with pytest.raises(psycopg.errors.UniqueViolation):
                connection.execute("insert into secret values (%s)", ("hunter2",))
        text = server.log.read_text()
    assert "secret_word_key" in text
    assert "hunter2" not in text


def test_a_server_that_cannot_start_says_why(open_folder: Path) -> None:
    with with_table(open_folder):
        pass
    with pytest.raises(EmbeddedError, match=r"^pg_ctl failed \(1\): .*no_such_setting"):
        EmbeddedPostgres(open_folder, settings={"no_such_setting": "1"}).start()
    with EmbeddedPostgres(open_folder, settings=FAST) as server:
        assert count(server) == 1


@AS_ROOT
def test_root_lends_it_an_account_that_owns_the_data(open_folder: Path) -> None:
    with EmbeddedPostgres(open_folder, settings=FAST) as server:
        assert pwd.getpwuid(server.data.stat().st_uid).pw_name == "nobody"
        assert Path(f"/proc/{server.postmaster_pid()}").stat().st_uid == server.data.stat().st_uid


@AS_ROOT
def test_root_in_a_closed_folder(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = with_table(closed / "home")
    server.stop()
    assert (closed / "home" / "postgres").is_symlink()
    assert server.place.parent == ELSEWHERE
    assert stat.S_IMODE(closed.stat().st_mode) == 0o700
    with server:
        assert count(server) == 1
    shutil.rmtree(server.place)
    with server:
        assert answers(server), "a link that leads nowhere any more is made anew"
    shutil.rmtree(server.place)


@AS_ROOT
def test_another_user_and_root_share_one_server(open_folder: Path) -> None:
    os.chown(open_folder, 65534, 65534)
    user = other_user(open_folder, "stay", "nobody")
    assert user.stdout
    assert user.stdout.readline() == "ready\n"
    with EmbeddedPostgres(open_folder) as server:
        assert count(server) == 1
        user.communicate()
        assert user.returncode == 0
        assert answers(server)
    assert not answers(server)


@AS_ROOT
def test_data_of_somebody_else_is_one_line(open_folder: Path) -> None:
    with with_table(open_folder) as server:
        os.chown(server.place, 1, 1)
        user = other_user(open_folder, "nobody", stderr=subprocess.PIPE)
        _, error = user.communicate()
        os.chown(server.place, 65534, 65534)
    assert "belong to user number 1: run as that user or as root" in error.splitlines()[-1]


def stops_without_leftovers(home: Path) -> bool:
    """Start and stop once more; whether unfinished clusters are gone, which an initdb may still be filling."""
    with EmbeddedPostgres(home, settings=FAST) as server:
        return not list(server.place.glob("data.*"))


def test_a_first_start_that_was_killed_leaves_no_half_cluster(open_folder: Path) -> None:
    user = other_user(open_folder)
    wait_until(lambda: list(open_folder.glob("postgres/data.*")), what="initdb at work")
    user.kill()
    user.wait()
    with EmbeddedPostgres(open_folder, settings=FAST) as server:
        assert answers(server)
    wait_until(lambda: stops_without_leftovers(open_folder), what="the unfinished cluster to be swept away")
