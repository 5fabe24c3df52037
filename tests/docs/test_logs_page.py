"""The page of log events knows every line the gate writes."""

import ast
import re
from collections.abc import Iterator

from tests.support.pages import ROOT

PAGE = ROOT / "docs" / "logs.md"
LEVELS = {"info", "warning", "error", "exception"}


def _nodes() -> Iterator[tuple[ast.AST, str]]:
    """Every node of the program's syntax trees, with the name of its file."""
    for file in sorted((ROOT / "app").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            yield node, str(file.relative_to(ROOT))


def _events() -> Iterator[tuple[str, str]]:
    """Every event that is written at `info` or above, with the file that writes it."""
    for node, file in _nodes():
        if isinstance(node, ast.Call) and _writes(node.func) and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), file


def _writes(function: ast.expr) -> bool:
    """Whether this is `log.info` and the like, or `write`, which stands for a level chosen at run time."""
    if isinstance(function, ast.Attribute):
        return function.attr in LEVELS and isinstance(function.value, ast.Name) and function.value.id == "log"
    return isinstance(function, ast.Name) and function.id == "write"


def test_every_event_is_on_the_page() -> None:
    told = PAGE.read_text(encoding="utf-8")
    events = list(_events())
    assert ("cleanup failed", "app/cleanup/run.py") in events
    assert [(event, file) for event, file in events if f"| `{event}` |" not in told] == []


def test_every_event_on_the_page_is_one_of_the_code() -> None:
    told = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    known = {node.value for node, _ in _nodes() if isinstance(node, ast.Constant)}
    assert set(told) - known == set()
