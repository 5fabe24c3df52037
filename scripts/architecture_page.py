"""Draw the rooms of app/ and what they import of one another into docs/architecture.md."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
COMMAND = ".venv/bin/python scripts/architecture_page.py"
BEGIN, END = f"<!-- Made by {COMMAND} from the imports. -->", "<!-- End of what was made. -->"


def layers() -> list[list[str]]:
    """The layers of import-linter's contract from above, each a list of rooms."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    lines = contract["tool"]["importlinter"]["contracts"][0]["layers"]
    return [re.findall(r"[a-z_.]+", line) for line in lines]


def room_of(module: str) -> str:
    """The room in which a module lies, `store` for `app.store.maps`; one at the root is its own."""
    names = module.split(".")[1:]
    return ".".join(names[: 2 if names[:1] == ["workers"] else 1])


def imported_rooms() -> dict[str, set[str]]:
    """Each room with the other rooms of which it imports something."""
    graph = grimp.build_graph("app", cache_dir=None)
    files = sorted(module for module in graph.modules if not (ROOT / module.replace(".", "/")).is_dir())
    found: dict[str, set[str]] = {room_of(module): set() for module in files}
    for module in files:
        rooms = {room_of(other) for other in graph.find_modules_directly_imported_by(module)}
        found[room_of(module)] |= rooms - {room_of(module)}
    return found


def needed_arrows(imports: Mapping[str, set[str]], from_below: Iterable[str]) -> list[tuple[str, str]]:
    """The imports that do not follow from others: with `a → b` and `b → c`, `a → c` is left out.

    `from_below` are the rooms in an order in which each comes after all that it imports.
    """
    below: dict[str, set[str]] = {}
    for room in from_below:
        below[room] = imports[room].union(*(below[other] for other in imports[room]))
    return [
        (room, other)
        for room in imports
        for other in sorted(imports[room])
        if not any(other in below[third] for third in imports[room] - {other})
    ]


def drawing() -> str:
    """The diagram, a line for each arrow."""
    from_below = [room for layer in reversed(layers()) for room in layer]
    arrows = (f"    {room} --> {other}" for room, other in needed_arrows(imported_rooms(), from_below))
    return "\n".join(["```mermaid", "flowchart TD", *arrows, "```"])


def page() -> str:
    """The page with the diagram drawn anew."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{drawing()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name} written")
