"""The store's Lua scripts, each put together from its own file and the parts that it uses."""

import re
from importlib.resources import files

SCRIPTS = (
    "claim",
    "lookup",
    "deliverers",
    "late",
    "sizes",
    "cleanup",
    "settings",
    "add_history",
    "read_history",
    "lease",
)
_USE = re.compile(r"^ *-- @use (\w+)$", re.MULTILINE)


def load_scripts() -> dict[str, str]:
    """Read the full text of each script, by its name.

    Each begins with the part `prelude`. In a script or part, a line `-- @use buckets` stands for the text of
    parts/buckets.lua. The server builds every function of a script anew at each call, or when it comes to the
    block that the line is in: so a script uses only what it needs, and where it needs it.
    """
    folder = files("app.store") / "lua"

    def text(path: str) -> str:
        own = (folder / f"{path}.lua").read_text(encoding="utf-8")
        return _USE.sub(lambda use: text(f"parts/{use[1]}"), own)

    return {name: text("parts/prelude") + text(name) for name in SCRIPTS}
