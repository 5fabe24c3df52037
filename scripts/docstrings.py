"""List docstrings that begin with a pointer: a reader who has only this one sentence cannot understand it.

"The same of each.", "As it is stored.", "Of a gate without workers.": each leans on a name, a class or
another docstring, which the reader has to find first. A docstring has its own subject, in a plain sentence.

Nor does one that begins with a verb and a bare pronoun say what is meant: "Take what belongs to it.", "Add to
it.", "Leave them alone." And what is done "as before" or "again" was told elsewhere.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDERS = ("app", "benchmarks", "grafana", "scripts", "tests/support", "tidegate")
HEAD_CHARACTERS = 80

# What stands for something that was said elsewhere.
PRONOUNS = "it|its|itself|this|that|these|those|they|them|their|he|she|his|her"
QUESTIONS = "what|where|when|whether|why|who|which|how|how (much|many|often|long)".replace(" ", r"\ ")
PREPOSITIONS = (
    "of|as|like|unlike|by|for|from|in|with|without|on|at|to|under|among|behind|around|beside|between|per"
)
LINKS = "(to|that|what|all of|each of|any of|one of|what belongs to|whether|how|with|for|from|in|of|on) "
LINKS = LINKS.replace(" ", r"\ ")
FOLLOWERS = "at|behind|in|of|on|from|alone|who|which|that|and|or|as|with|without|up|down|again"
POINTER = re.compile(
    rf"""
    # "The same of each.", "The others, in order."; "the one flag that …" and "the last line of …" are none
    the\ (same|others?|rest|latter|former)\b
    | the\ (one|ones|first|last|next)\ (ones?|for|on|with|not|of\ (the\ )?({PRONOUNS}|process))\b
    # "Those of the maps", "Its length", "Another, beside it"
    | ({PRONOUNS}|such|another|ditto|same|likewise|see)\b(?!\ (what|whether|which)\b)
    # "What it is now", "Where it listens", "Whether they fit"; "how many of them" as well
    | ({QUESTIONS})\ (of\ )?(it|they|them|those|he|she)\b
    # "All of them", "One of these", "So many fresh ones"
    | (all|any|both|each|either|most|neither|none|one|some)\ (of\ )?({PRONOUNS})\b
    | so\ many\b
    # "Of a gate without workers", "As it is stored": the end of a sentence that begins with a name
    | ({PREPOSITIONS})\b
    # "Remove it", "Add to them", "Note that it is whole", "Take what belongs to it", "List those that failed"
    | \w+\ ({LINKS})?(it|them|they|himself|itself|themselves)\b
    | \w+\ ({LINKS})?(these|those)\b(?=[.,;:]|\ ({FOLLOWERS})\b)
    | (whether|tell\ whether|tell\ that)\ (that|this|those|these)\ (is|are|was|were|has|have)\b
    # "Again for the gate"
    | again\b
    # "How things are done, as before", "None when it is one of the others"
    | .*\b(as\ (before|above|below|there|usual)|one\ of\ the\ others)\b(?=[.,;:]|$)
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Docstring(NamedTuple):
    """The first line of a docstring, and where it stands."""

    path: Path
    line: int
    head: str


def docstrings(path: Path) -> Iterator[Docstring]:
    """Every docstring of a file: of the module, its classes, functions and attributes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text)), lineno=line):
                    yield Docstring(path, line, text.strip().partition("\n")[0])


def pointers(folders: tuple[str, ...]) -> Iterator[Docstring]:
    """Every docstring below the folders that begins with a pointer."""
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            yield from (found for found in docstrings(path) if POINTER.match(found.head))


def main() -> int:
    """Print what begins with a pointer, a line each, below the folders given or all; 1 when there is any."""
    found = list(pointers(tuple(sys.argv[1:]) or FOLDERS))
    for path, line, head in found:
        print(f"{path}:{line}: {head[:HEAD_CHARACTERS]}")
    print(f"docstrings: {len(found)} begin with a pointer")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
