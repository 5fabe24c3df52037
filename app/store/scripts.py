"""Reads the Lua scripts; each gets `prelude.lua` in front."""

from importlib.resources import files

from app.metrics import STORE_SCRIPTS


def load_scripts() -> dict[str, str]:
    """The full text of each script by its name."""
    folder = files("app.store") / "lua"
    prelude = (folder / "prelude.lua").read_text()
    return {name: prelude + (folder / f"{name}.lua").read_text() for name in STORE_SCRIPTS}
