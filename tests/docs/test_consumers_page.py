"""docs/consumers.md names tests that exist: each guarantee can be looked up."""

import ast
import re
from pathlib import Path

from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "consumers.md"


def _tests_of(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    return {function.name for function in functions if function.name.startswith("test_")}


def test_every_test_that_shows_a_guarantee_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10, "the table of guarantees names tests"
    there = {name for file in (ROOT / "tests").rglob("test_*.py") for name in _tests_of(file)}
    assert named - there == set()
