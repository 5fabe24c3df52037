"""Reads the Lua scripts; each gets `prelude.lua` in front, and the other parts it calls."""

from importlib.resources import files

from app.metrics.catalogue import STORE_SCRIPTS

_PARTS = {
    "claim": ("sightings",),
    "sizes": ("stored",),
    "settings": ("stored",),
}


def load_scripts() -> dict[str, str]:
    """The full text of each script by its name."""
    folder = files("app.store") / "lua"

    def text(*names: str) -> str:
        return "".join((folder / f"{name}.lua").read_text(encoding="utf-8") for name in names)

    return {name: text("prelude", *_PARTS.get(name, ()), name) for name in STORE_SCRIPTS}
