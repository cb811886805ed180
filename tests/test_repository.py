"""The repository tests itself: what must hold of its files, whoever changes them."""

import ast
import importlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from app.cli import counterfoil

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("app", "worker", "sql", "sandbox")
SQL_FILES = sorted(path.relative_to(ROOT / "sql") for path in (ROOT / "sql").glob("*/*.sql"))
PURE = ("lifecycle", "decide", "verdict", "retry", "fingerprint")
# Written in two parts, or this file would name them.
REGISTRIES = tuple(a + b for a, b in [("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org"), ("npmjs", ".com")])
MACHINE_PATHS = ("/wo" + "rk/", "/ro" + "ot/.pyenv", "/opt/" + "pypi")
VENDORED = ("app/console/static/",)
MOST_LINES = 400
CLOCKS = re.compile(r"\b(datetime\.now|utcnow|time\.time|monotonic|date\.today|perf_counter)\b")


@cache
def files() -> tuple[Path, ...]:
    """Every file that git would commit, or where there is no git all outside hidden folders and caches."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.split("\0") if name]
    else:
        found = [path for path in ROOT.rglob("*") if not {".venv", "__pycache__", ".counterfoil"} & set(path.parts)]
    return tuple(sorted(path for path in found if path.is_file()))


def texts() -> Iterator[tuple[str, str]]:
    """Name and content of every text file."""
    for path in files():
        content = path.read_bytes()
        if b"\0" not in content:
            yield str(path.relative_to(ROOT)), content.decode("utf-8", errors="replace")


def python_files(*folders: str) -> list[Path]:
    """Every Python file below these folders."""
    return [path for path in files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in folders]


def imported(path: Path) -> set[str]:
    """Full names of the modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


# The database contract ------------------------------------------------------------------------------


@pytest.mark.parametrize("file", SQL_FILES, ids=str)
def test_every_statement_has_its_wrapper(file: Path) -> None:
    module = importlib.import_module(f"sql.{file.parent}")
    assert callable(getattr(module, file.stem, None)), f"sql/{file.parent}/__init__.py lacks {file.stem}()"
    assert f'"{file.parent}.{file.stem}"' in Path(str(module.__file__)).read_text(encoding="utf-8")


def test_every_wrapper_has_its_statement() -> None:
    known = {f"{file.parent}.{file.stem}" for file in SQL_FILES}
    for path in (ROOT / "sql").glob("*/__init__.py"):
        named = set(re.findall(rf'"({path.parent.name}\.\w+)"', path.read_text(encoding="utf-8")))
        assert named <= known


@pytest.mark.parametrize("file", SQL_FILES, ids=str)
def test_statements_cast_every_parameter(file: Path) -> None:
    text = (ROOT / "sql" / file).read_text(encoding="utf-8")
    uncast = re.findall(r"%\(\w+\)s(?!::)", text)
    assert not uncast, f"without a cast Postgres must guess the type: {uncast}"


def test_the_migrations_do_not_shadow_the_library() -> None:
    assert not (ROOT / "alembic" / "__init__.py").exists()
    code = "import alembic; print(alembic.__version__)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


# Who may know whom; what import-linter cannot say ---------------------------------------------------


def test_a_worker_knows_of_app_only_what_it_may() -> None:
    allowed = ("app.settings", "app.catalog", "app.telemetry", "app.logs")
    for path in python_files("worker"):
        of_app = {name for name in imported(path) if name == "app" or name.startswith("app.")}
        assert all(name.startswith(allowed) for name in of_app), f"{path} imports {of_app}"


@pytest.mark.parametrize("name", PURE)
def test_what_decides_reads_no_clock(name: str) -> None:
    path = ROOT / "worker" / "coordinator" / f"{name}.py"
    assert not CLOCKS.search(path.read_text(encoding="utf-8"))


# The form of files ----------------------------------------------------------------------------------


def test_tests_are_no_packages() -> None:
    assert not [path for path in files() if path.name == "__init__.py" and path.is_relative_to(ROOT / "tests")]


@pytest.mark.parametrize("path", python_files(*PACKAGES), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_can_be_read_at_once(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= MOST_LINES
    assert not text.strip() or ast.get_docstring(ast.parse(text)), "says what it is"


def test_no_file_names_a_registry_or_a_machine() -> None:
    for name, text in texts():
        if not name.startswith(VENDORED):
            for word in (*REGISTRIES, *MACHINE_PATHS):
                assert word not in text, f"{name} names {word}"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-test.lock"])
def test_locks_pin_by_hash_and_name_no_address(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert "--index-url" not in text
    pinned = re.findall(r"^\S+==\S+(?: ;[^\\]*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE))


def test_locks_agree() -> None:
    pins = [
        dict(re.findall(r"^([\w.-]+)(?:\[[^\]]*\])?==(\S+)", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE))
        for name in ("requirements.lock", "requirements-test.lock")
    ]
    assert pins[0].items() <= pins[1].items()


def test_scripts_are_executable() -> None:
    for name in ("start", "test", ".ci/run"):
        assert (ROOT / name).stat().st_mode & 0o111
        subprocess.run(["sh", "-n", str(ROOT / name)], check=True)


# Documents ------------------------------------------------------------------------------------------


def test_architecture_names_every_package() -> None:
    document = ROOT / "ARCHITECTURE.md"
    if not document.exists():
        pytest.skip("not written yet")
    text = document.read_text(encoding="utf-8")
    packages = {path.parent.relative_to(ROOT) for path in files() if path.name == "__init__.py"}
    folders_of_statements = {file.parent for file in SQL_FILES}
    for package in packages - {"sql" / folder for folder in folders_of_statements}:
        assert f"{package}/" in text or f"`{package}`" in text, f"ARCHITECTURE.md does not name {package}/"


@pytest.mark.parametrize("name", [name for name, _ in texts() if name.endswith(".md")])
def test_commands_in_documents_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for called in re.findall(r"(?:^|[\s`$])(?:\./start|counterfoil) ([a-z][^`\n|]*)", text):
        if "`" in text and is_in_code(text, called):
            assert_command_exists(called)


def is_in_code(text: str, called: str) -> bool:
    """Whether the words stand in backticks or in a block of code, not in a sentence."""
    lines = [line for line in text.splitlines() if called in line]
    return any(line.startswith(("    ", "$ ", "./start", "counterfoil")) or "`" in line for line in lines)


def assert_command_exists(called: str) -> None:
    """Walk down the command line by the words before the first option."""
    words = shlex.split(called.replace("'", "").replace('"', ""), comments=True)
    command: click.Command | None = counterfoil
    for word in words:
        if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z-]+", word):
            break
        command = command.get_command(click.Context(counterfoil), word)
        assert command is not None, f"no command `counterfoil {called}`"
    if command is not None:
        options = {option for param in command.params for option in param.opts + param.secondary_opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= options | {"--help"}, f"unknown options in `counterfoil {called}`"
