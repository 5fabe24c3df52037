"""The sentences on the settings, as they stand below them in `model.py`."""

import ast
import inspect
from functools import cache
from itertools import pairwise

from app.settings.model import Settings


def description_of(name: str) -> str:
    """Return the sentence on a setting, in one line."""
    return _descriptions()[name]


@cache
def _descriptions() -> dict[str, str]:
    """Read the sentences from the source.

    Pydantic can do so by itself (`use_attribute_docstrings`), but does it each time a process starts, which
    took a twentieth of the start; most processes are never asked.
    """
    found: dict[str, str] = {}
    [model] = ast.parse(inspect.getsource(Settings)).body
    for pair in pairwise(ast.iter_child_nodes(model)):
        match pair:
            case (
                ast.AnnAssign(target=ast.Name(id=name)),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                found[name] = " ".join(text.split())
    return found
