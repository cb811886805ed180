"""The protocol's models hold, and notice when a rule is missing (docs/model/README.md).

The small size runs always; `MODEL=full` runs every configuration and every mutant.
"""

import importlib.util
import os
import re
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("model_check", HERE / "check.py")
assert _spec is not None
assert _spec.loader is not None
check = importlib.util.module_from_spec(_spec)
sys.modules["model_check"] = check
_spec.loader.exec_module(check)

CHOSEN = check.chosen(small=os.environ.get("MODEL") != "full", only=None)


def test_the_protocol_holds_and_every_missing_rule_is_noticed() -> None:
    try:
        check.ensure_tools()
    except check.ToolsMissing as missing:
        pytest.fail(f"{missing}", pytrace=False)
    results = check.run_all(CHOSEN)
    assert [(one.check.name, one.verdict, one.violated) for one in results if not one.as_wanted] == []


def test_every_weakening_in_a_model_is_a_checked_mutant() -> None:
    written = {
        (model.stem, macro)
        for model in check.MODELS.glob("*.pml")
        for macro in re.findall(r"^#(?:ifdef|elif defined\() ?(M_[A-Z_]+)", model.read_text(), re.MULTILINE)
    }
    checked = {mutant.defines.split()[0].removeprefix("-D") for mutant in check.MUTANTS}
    assert {macro for _, macro in written} == checked


def test_the_page_names_every_check() -> None:
    page = (check.MODELS / "README.md").read_text()
    assert [one.name for one in check.CHECKS if f"`{one.name}`" not in page] == []
