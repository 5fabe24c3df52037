"""docs/architecture.md draws the rooms as they are: each has its row, and arrows are the imports."""

import re

from app.consumer_errors import ReaderError
from app.errors import HttpError
from app.server.limits import ABORTED, BOUNDS
from scripts.architecture_page import COMMAND, PAGE, imported_rooms, layers, needed_arrows, page


def _rows() -> list[tuple[int, str]]:
    """The layer and the name of each room in the page's table."""
    rows = re.findall(r"^\| (\d+) \| `([a-z_.]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [(int(layer), room) for layer, room in rows]


def test_every_room_has_its_row_and_every_row_its_room() -> None:
    assert sorted(room for _, room in _rows()) == sorted(imported_rooms())


def test_the_layers_are_those_that_the_linter_keeps() -> None:
    kept = [(number, room) for number, layer in enumerate(layers(), 1) for room in sorted(layer)]
    assert _rows() == kept


def test_a_room_imports_only_rooms_of_lower_layers() -> None:
    layer_of = {room: layer for layer, room in _rows()}
    for room, others in imported_rooms().items():
        below = {other for other in others if layer_of[other] > layer_of[room]}
        assert others == below, f"{room} imports {others - below}, which the page draws beside or above it"


def test_the_drawing_is_that_of_the_imports() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), f"renew docs/architecture.md: {COMMAND}"


def test_arrows_and_what_follows_from_them_are_all_imports() -> None:
    imports = {"a": {"b", "c"}, "b": {"c"}, "c": set[str]()}
    assert needed_arrows(imports, ["c", "b", "a"]) == [("a", "b"), ("b", "c")]


def test_every_file_and_folder_that_the_page_names_exists() -> None:
    root = PAGE.parents[1]
    named = set(re.findall(r"`(app/[\w./]+?)`", PAGE.read_text(encoding="utf-8")))
    assert named, "the page names files"
    assert sorted(name for name in named if not (root / name).exists()) == []


def _where_things_are() -> str:
    return PAGE.read_text(encoding="utf-8").split("## Where things are")[1].split("\n## ")[0]


def test_every_file_that_the_tables_name_exists_below_app() -> None:
    app = PAGE.parents[1] / "app"
    named = set(re.findall(r"`([\w/]+(?:/\w+|\.(?:py|lua)))`", _where_things_are()))
    assert sorted(name for name in named if not (app / name).exists()) == []


def _problems(base: type[HttpError]) -> set[str]:
    own = {base.slug} if hasattr(base, "slug") else set()
    return own.union(*map(_problems, base.__subclasses__()))


def test_the_tables_say_of_every_error_where_it_is_raised() -> None:
    names = _problems(HttpError) | _problems(ReaderError)
    names |= {bound.reason for bound in BOUNDS if bound.status != ABORTED}
    assert sorted(name for name in names if f"`{name}`" not in _where_things_are()) == []
