"""Draw a dashboard's panels from data: a preview of what they show, with no likeness to Grafana sought."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from grafana.preview.units import in_unit, scaled

COLOURS = {
    "green": "#2e8b57",
    "blue": "#1f77b4",
    "yellow": "#d4a017",
    "orange": "#e67e22",
    "red": "#c0392b",
    "purple": "#8e44ad",
    "text": "#444444",
    "super-light-blue": "#9ecae1",
}
OTHERS = ("#1f77b4", "#2e8b57", "#8e44ad", "#d4a017", "#17a2a2", "#e67e22", "#7f7f7f", "#c2185b")
COLUMNS = 24
UNIT_INCHES, HEAD_INCHES, WIDTH_INCHES = 0.27, 0.75, 12.5
DPI = 136
LINES_IN_LEGEND = 8
# What a line of the legend has room for, in a column of the grid: letters, of which a line's sign takes four.
LEGEND_LETTERS, SIGN_LETTERS = 7, 4
# As wide as the name of a state's bar may be, as a part of the panel.
NAME_SHARE = 0.1

LEGEND: dict[str, Any] = {"loc": "upper left", "fontsize": 7, "frameon": False, "borderaxespad": 0}
LEGEND |= {"handlelength": 1.2, "columnspacing": 1.0}

Points = list[tuple[float, float]]


@dataclass
class Series:
    """One line: its legend, and (seconds from the start, value)."""

    name: str
    points: Points


@dataclass
class Sheet:
    """A picture to draw: panels of the dashboard's JSON with their series, and what happened when."""

    title: str
    panels: list[tuple[dict[str, Any], list[Series]]]
    moments: dict[str, float]
    """Name and time of the moments at which single values are shown."""
    span: tuple[float, float]
    """The first and the last moment at which the load was unusual."""
    marks: list[float]
    """When what the sheet is about happened."""


def draw(sheet: Sheet, file: Path) -> None:
    """Write the picture: the panels where the dashboard has them."""
    places = [panel["gridPos"] for panel, _ in sheet.panels]
    top = min(place["y"] for place in places)
    height = max(place["y"] + place["h"] for place in places) - top
    inches = HEAD_INCHES, height * UNIT_INCHES
    figure = Figure(figsize=(WIDTH_INCHES, sum(inches)), dpi=DPI, facecolor="white")
    rows = figure.add_gridspec(2, 1, height_ratios=inches, hspace=0)
    head, body = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    head.text(0.01, 0.8, sheet.title, va="top", fontsize=12, weight="bold")
    grid = body.add_gridspec(height, COLUMNS, wspace=0, hspace=0)
    for place, (panel, series) in zip(places, sheet.panels, strict=True):
        down = slice(place["y"] - top, place["y"] - top + place["h"])
        part = body.add_subfigure(grid[down, place["x"] : place["x"] + place["w"]])
        _draw_panel(part, panel, series, sheet)
    figure.savefig(file)


def _draw_panel(part: SubFigure, panel: dict[str, Any], series: list[Series], sheet: Sheet) -> None:
    wide, high = part.bbox.width / DPI, part.bbox.height / DPI
    if panel["type"] == "row":
        part.text(0.01 * WIDTH_INCHES / wide, 0.5, panel["title"], fontsize=11, weight="bold", va="center")
        return
    # Room for the axis, the title and the legend, in inches.
    sides, above, below = (0.58, 0.3, 0.58) if panel["type"] == "timeseries" else (0.1, 0.3, 0.1)
    room = sides / wide, below / high, 1 - (sides + 0.12) / wide, 1 - (above + below) / high
    axes = part.add_axes(room)
    axes.set_title(panel["title"], fontsize=8.5, loc="left", pad=4)
    KINDS[panel["type"]](axes, panel, series, sheet)


def _graph(axes: Axes, panel: dict[str, Any], series: list[Series], sheet: Sheet) -> None:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    looks = _overrides(panel)
    top = max((value for one in series for _, value in one.points), default=1.0)
    factor, suffix = scaled(top, unit)
    stacked = panel["fieldConfig"]["defaults"]["custom"].get("stacking", {}).get("mode") == "normal"
    shown = _ordered(series)
    if stacked and shown:
        _stack(axes, shown, looks, factor)
    for place, one in enumerate(() if stacked else shown):
        colour, dashed = looks.get(one.name, (OTHERS[place % len(OTHERS)], False))
        times, values = zip(*one.points, strict=True)
        style = "--" if dashed else "-"
        axes.plot(times, [value * factor for value in values], style, color=colour, lw=1.2, label=one.name)
    _decorate(axes, panel, sheet, factor, suffix)
    if shown:
        longest = SIGN_LETTERS + max(len(one.name) for one in shown)
        columns = max(2, LEGEND_LETTERS * panel["gridPos"]["w"] // longest)
        axes.legend(bbox_to_anchor=(-0.02, -0.12), ncols=columns, **LEGEND)
    else:
        _say_none(axes)


def _say_none(axes: Axes) -> None:
    axes.text(0.5, 0.5, "none", transform=axes.transAxes, ha="center", color="#888888", fontsize=8)


def _ordered(series: list[Series]) -> list[Series]:
    """The series that have points; when there are many, those with the largest values."""
    filled = [one for one in series if one.points]
    largest = sorted(filled, key=lambda one: -max(value for _, value in one.points))[:LINES_IN_LEGEND]
    return [one for one in filled if one in largest]


def _stack(axes: Axes, series: Sequence[Series], looks: dict[str, tuple[str, bool]], factor: float) -> None:
    times = sorted({at for one in series for at, _ in one.points})
    rows = [[dict(one.points).get(at, 0.0) * factor for at in times] for one in series]
    colours = [
        looks.get(one.name, (OTHERS[place % len(OTHERS)], False))[0] for place, one in enumerate(series)
    ]
    axes.stackplot(times, rows, colors=colours, alpha=0.55, labels=[one.name for one in series], lw=0)


def _decorate(axes: Axes, panel: dict[str, Any], sheet: Sheet, factor: float, suffix: str) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    if "min" in defaults:
        axes.set_ylim(bottom=defaults["min"] * factor)
    axes.set_ylim(top=axes.get_ylim()[1] * 1.06)
    if "max" in defaults:
        axes.set_ylim(top=defaults["max"] * factor * 1.02)
    low, high = axes.get_ylim()
    for step in defaults["thresholds"]["steps"][1:]:
        if low < step["value"] * factor < high:
            colour = COLOURS[step["color"]] if step["color"] != "green" else COLOURS["orange"]
            axes.axhline(step["value"] * factor, ls=(0, (6, 4)), lw=1, color=colour)
    _background(axes, sheet)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}{suffix}")
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g} s")
    axes.tick_params(labelsize=7, length=2, pad=2)
    axes.grid(visible=True, alpha=0.25, lw=0.5)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _background(axes: Axes, sheet: Sheet) -> None:
    axes.axvspan(*sheet.span, color="#888888", alpha=0.13, lw=0)
    for at in sheet.marks:
        axes.axvline(at, color=COLOURS["orange"], lw=1, ls=":")
    axes.set_xlim(0, max(sheet.moments.values()))


def _figure(axes: Axes, panel: dict[str, Any], series: list[Series], sheet: Sheet) -> None:
    """The value before, during and after, each in the colour the dashboard gives it."""
    axes.axis("off")
    points = series[0].points if series else []
    for place, (name, at) in enumerate(sheet.moments.items()):
        known = [value for when, value in points if when <= at]
        text, colour = said(panel, known[-1] if known else None)
        across = (place + 0.5) / len(sheet.moments)
        axes.text(across, 0.62, text, ha="center", va="center", fontsize=7, weight="bold", color=colour)
        axes.text(across, 0.18, name, ha="center", va="center", fontsize=7, color="#666666")


def said(panel: dict[str, Any], value: float | None) -> tuple[str, str]:
    """What the dashboard writes for a value, and the colour it gives it."""
    defaults = panel["fieldConfig"]["defaults"]
    if value is None:
        return defaults.get("noValue", "-"), COLOURS["text"]
    mapped = _mapped(panel, value)
    if mapped is not None:
        return mapped["text"] or in_unit(value, defaults["unit"]), COLOURS[mapped["color"]]
    passed = [step for step in defaults["thresholds"]["steps"] if (step["value"] or -1e99) <= value]
    return in_unit(value, defaults["unit"]), COLOURS[passed[-1]["color"]]


def _mapped(panel: dict[str, Any], value: float) -> dict[str, Any] | None:
    """What the dashboard says instead of a value."""
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
        options = mapping["options"]
        if mapping["type"] == "value" and f"{value:g}" in options:
            return {"text": None, **options[f"{value:g}"]}
        if mapping["type"] == "range" and options["from"] <= value:
            return {"text": None, **options["result"]}
    return None


def _states(axes: Axes, panel: dict[str, Any], series: list[Series], sheet: Sheet) -> None:
    shown = _ordered(series)
    seen: dict[str, str] = {}
    for row, one in enumerate(reversed(shown)):
        for (start, value), (end, _) in zip(one.points, one.points[1:], strict=False):
            state = _mapped(panel, value)
            if state is not None:
                axes.broken_barh(
                    [(start, end - start)], (row + 0.12, 0.76), color=COLOURS[state["color"]], lw=0
                )
                seen[state["text"]] = COLOURS[state["color"]]
    axes.set_yticks([row + 0.5 for row in range(len(shown))], [one.name for one in reversed(shown)])
    axes.tick_params(labelsize=7, length=0, pad=-3)
    for label, one in zip(axes.get_yticklabels(), reversed(shown), strict=True):
        is_on_bar = one.points[0][0] < NAME_SHARE * max(sheet.moments.values())
        label.set(ha="left", color="white" if is_on_bar else COLOURS["text"], weight="bold")
    axes.set_ylim(0, max(1, len(shown)))
    axes.xaxis.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlim(0, max(sheet.moments.values()))
    for place, (text, colour) in enumerate(seen.items()):
        axes.text(
            1 - 0.12 * place, 1.04, text, transform=axes.transAxes, fontsize=7, color=colour, ha="right"
        )
    if not shown:
        axes.set_yticks([])
        _say_none(axes)


def _overrides(panel: dict[str, Any]) -> dict[str, tuple[str, bool]]:
    """Colour, and whether it is dashed, of the lines the dashboard names."""
    found = {}
    for override in panel["fieldConfig"].get("overrides", []):
        values = {one["id"]: one["value"] for one in override["properties"]}
        colour = COLOURS[values["color"]["fixedColor"]]
        found[override["matcher"]["options"]] = (colour, "custom.lineStyle" in values)
    return found


KINDS: dict[str, Callable[[Axes, dict[str, Any], list[Series], Sheet], None]] = {
    "timeseries": _graph,
    "stat": _figure,
    "state-timeline": _states,
}
