"""docs/sandbox.md tells every fault, every route and every option."""

import re
from pathlib import Path

import pytest

from sandbox.__main__ import parser
from sandbox.app import build_app
from sandbox.faults import KINDS, Spec
from sandbox.world import World
from tests.support.sandbox_process import ROOT

DOCS = (ROOT / "docs" / "sandbox.md").read_text()


@pytest.mark.parametrize("kind", KINDS)
def test_each_fault_has_its_row_with_its_default(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \|(.*)\|$", DOCS, re.MULTILINE)
    default = KINDS[kind].default
    shown = f"{default:g}" if isinstance(default, (int, float)) else default
    assert re.search(rf"\(`?{shown}`?\)", row) if default is not None else row.startswith(" |")


def test_no_row_is_about_a_fault_that_is_not_there() -> None:
    table = DOCS.partition("| kind | value")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(KINDS)


def test_each_option_is_told() -> None:
    for action in parser()._actions:
        assert all(option in DOCS for option in action.option_strings if option not in {"-h", "--help"})


def test_each_route_is_told(tmp_path: Path) -> None:
    world = World(tmp_path, Spec())
    paths = {route.resource.canonical for route in build_app(world).router.routes() if route.resource}
    world.close()
    shown = {path for path in paths if "{" not in path}
    assert {path for path in shown if path not in DOCS} == set()
