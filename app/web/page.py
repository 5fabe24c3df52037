"""Renders the live page, and the part of it that changes, from the document of `GET /page/figures`.

Jinja2 is imported when somebody looks for the first time: a gate that nobody looks at goes without it. That
takes a tenth of a second, with the templates, so a thread does it while others are served: `prepare`.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from app.process.made_once import MadeOnce
from app.web import amounts

if TYPE_CHECKING:
    from jinja2 import Environment

Document = Mapping[str, Any]
"""The document of `GET /page/figures`."""

PAGE: Final = "page.html"
LIVE_PART: Final = "live.html"
SPARK_WIDTH: Final = 120
SPARK_HEIGHT: Final = 26
STATES: Final = {
    "ready": "ready",
    "refusing": "refusing",
    "store-down": "store down",
    "stopping": "stopping",
}
"""What the badge at the head says of each state."""


async def prepare() -> None:
    """Load what `page` and `live_part` need; in an event loop this is called before they are."""
    await _templates.get()


def _load() -> None:
    for name in (PAGE, LIVE_PART):
        _environment().get_template(name)


_templates = MadeOnce(_load)


def page(document: Document) -> str:
    """Return the whole page."""
    return _environment().get_template(PAGE).render(figures=document)


def live_part(document: Document) -> str:
    """Return the part of the page that changes."""
    return _environment().get_template(LIVE_PART).render(figures=document)


@cache
def page_file(name: str) -> bytes:
    """Return a file that the page loads, as it lies beside the templates."""
    return files("app.web").joinpath("templates", name).read_bytes()


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415  see the module's docstring

    environment = Environment(
        loader=PackageLoader("app.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(states=STATES, spark_width=SPARK_WIDTH, spark_height=SPARK_HEIGHT)
    environment.filters.update(
        count=amounts.count,
        duration=amounts.duration,
        milliseconds=amounts.milliseconds,
        moment=amounts.moment,
        rate=amounts.rate,
        seconds=amounts.seconds,
        series=series,
        share=amounts.share,
        size=amounts.size,
        spark=spark,
    )
    return environment


def series(readings: Iterable[Document], name: str, member: str = "") -> list[tuple[float, float]]:
    """Return the age in seconds and the amount of that name of each reading that has it.

    The amounts stand in the reading itself, or in a member of it.
    """
    holders = ((one["age_seconds"], one[member] if member else one) for one in readings)
    return [(age, holder[name]) for age, holder in holders if name in holder]


def spark(values: Iterable[tuple[float, float]], span_seconds: float, least: float = 0.0) -> str:
    """Return the points of a small line through (age in seconds, amount); now is at its right end.

    The line reaches from `least` to the largest amount, or from the smallest if that is below.
    """
    drawn = list(values)
    low = min([least, *(amount for _, amount in drawn)])
    high = max((amount for _, amount in drawn), default=0.0)
    height = max(high - low, 1e-9)
    return " ".join(
        f"{SPARK_WIDTH * (1 - min(age, span_seconds) / span_seconds):.1f},"
        f"{1 + (SPARK_HEIGHT - 2) * (1 - (amount - low) / height):.1f}"
        for age, amount in drawn
    )
