"""Write docs/settings.md from the fields of `Settings`, so that page and code say the same."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from app.runtime_settings.settings_view import unit_of
from app.settings.descriptions import description_of
from app.settings.model import CHANGEABLE, ORDERED, SHARED, Settings, env_name

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
COMMAND = ".venv/bin/python scripts/settings_page.py"
KIB = 1024

HEAD = f"""\
# Settings

<!-- Made by scripts/settings_page.py from app/settings/model.py; renew it with `{COMMAND}`. -->

This page is for operators who configure a gate: every setting with its unit, default and limits.

Every setting is an environment variable that is read once, at the start. `tidegate serve` also has options
for host, port, workers and log format, which override the environment. Settings with *yes* or *shared* under
*at run time* can be [changed while the gate runs](http.md#get-settings-patch-settings).

Bytes and seconds are plain numbers, for example `TIDEGATE_MAX_BODY_BYTES=4194304` and
`TIDEGATE_DEDUP_WINDOW_SECONDS=2.5`. An empty value means unset. Values and files are read as UTF-8,
whatever the locale is.

The gate does not start if a value is outside its limits or contradicts another setting (see the last
section), or if there is a `TIDEGATE_…` variable that is no setting. It then names the variable, suggests
the setting that may have been meant, and exits with 2. It ignores the addresses that Kubernetes adds for a
Service, such as `TIDEGATE_PORT=tcp://10.1.2.3:8000`.

Settings with *shared* there say what lies in the store. They are one thing for all gates that
[share it](store.md#several-gates-on-one-store): a gate that is started with other values goes by those that
hold.
"""


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD, *_sections(), *_order()])


def _sections() -> Iterator[str]:
    for heading in dict.fromkeys(map(_group, Settings.model_fields.values())):
        yield f"## {heading}\n"
        yield "| variable | unit | default | limits | at run time | what it sets |"
        yield "|---|---|---|---|---|---|"
        for name, field in Settings.model_fields.items():
            if _group(field) == heading:
                yield _row(name, field)
        yield ""


def _group(field: FieldInfo) -> str:
    """The heading under which a setting stands."""
    extra = field.json_schema_extra
    return str(extra["group"]) if isinstance(extra, dict) else ""


def _order() -> Iterator[str]:
    yield "## What has to fit together\n"
    yield "| this setting | must not be above |"
    yield "|---|---|"
    for lower, upper in ORDERED:
        yield f"| `{env_name(lower)}` | `{env_name(upper)}` |"
    yield "\nA list of tokens is set by its variable or by its `_FILE`, not by both.\n"


def _row(name: str, field: FieldInfo) -> str:
    sentence = description_of(name).replace("|", r"\|")
    changeable = "shared" if name in SHARED else "yes" if name in CHANGEABLE else ""
    figures = (unit_of(name), _default(name, field), _limits(name, field))
    cells = (f"`{env_name(name)}`", *figures, changeable, sentence)
    return f"| {' | '.join(cells)} |"


def _default(name: str, field: FieldInfo) -> str:
    if field.default in (None, ()):
        return "unset"
    return f"`{field.default}`{_readable(name, field.default)}"


def _limits(name: str, field: FieldInfo) -> str:
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.annotation))
    lows = [rule.ge for rule in field.metadata if isinstance(rule, Ge)]
    highs = [rule.le for rule in field.metadata if isinstance(rule, Le)]
    words = [f"from {low}{_readable(name, low)}" for low in lows]
    words += [f"to {high}{_readable(name, high)}" for high in highs]
    patterns = (getattr(rule, "pattern", None) for rule in field.metadata)
    words += [f"`{pattern}`" for pattern in patterns if pattern]
    return " ".join(words)


def _readable(name: str, amount: object) -> str:
    """Bytes in the largest unit that leaves a whole number."""
    if not name.endswith("_bytes") or not isinstance(amount, int) or amount < KIB:
        return ""
    units = [(1024**3, "GiB"), (1024**2, "MiB"), (KIB, "KiB")]
    size, unit = next(((size, unit) for size, unit in units if amount % size == 0), (1, "B"))
    return f" ({amount // size} {unit})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name} written")
