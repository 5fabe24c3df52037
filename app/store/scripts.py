"""The store's Lua scripts: which there are, and the parts each is put together from."""

from importlib.resources import files

# A script's text is that of `prelude`, of its parts in this order, and of its own file. The server builds
# every function of the text anew at each call, so a script gets only the parts it uses.
PARTS = {
    "claim": ("buckets", "what_is_due", "filling", "acceptances", "replaced", "sightings"),
    "lookup": ("buckets",),
    "deliverers": ("buckets", "acceptances"),
    "late": ("buckets", "acceptances"),
    "sizes": ("buckets", "what_is_due", "changed_rules", "stored_settings"),
    "cleanup": ("buckets", "what_is_due"),
    "settings": ("stored_settings",),
    "record": (),
    "history": (),
    "lease": (),
}


def load_scripts() -> dict[str, str]:
    """Read the full text of each script, by its name."""
    folder = files("app.store") / "lua"

    def text(name: str) -> str:
        return (folder / f"{name}.lua").read_text(encoding="utf-8")

    return {
        name: "".join([*(text(f"parts/{part}") for part in ("prelude", *parts)), text(name)])
        for name, parts in PARTS.items()
    }
