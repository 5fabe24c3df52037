"""The sentences on the settings, as they stand below them in `model.py`."""

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise

from app.settings.model import Settings


def description_of(name: str) -> str:
    """Return the sentence on a setting, in one line."""
    return descriptions()[name]


@cache
def descriptions() -> Mapping[str, str]:
    """Read the sentences from the source, each by the name of its setting; the first time takes some 25 ms.

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
