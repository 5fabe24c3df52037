"""The curves as small multiples: a row a curve, a column a kind of figure."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.axes import Axes

from benchmarks.common.plots import GATE, GREEN, INK, RED, STORE, picture
from benchmarks.curves.table import spread


STYLE: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1.3, "elinewidth": 0.8}


class Line(NamedTuple):
    """A figure, what it is called, and its colour."""

    name: str
    label: str
    colour: str


class Panel(NamedTuple):
    """What one column shows."""

    title: str
    lines: Sequence[Line]
    is_log: bool = True


def _parts(unit: str, *more: Line) -> Sequence[Line]:
    """A figure of the gate and of the store."""
    return [Line(f"gate_{unit}", "gate", GATE), Line(f"store_{unit}", "store", STORE), *more]


LATENCIES = (
    Line("p50_ms", "p50", "#9db8d9"),
    Line("p99_ms", "p99", "#4a78b5"),
    Line("p999_ms", "p99.9", "#1b3a66"),
    Line("lookup_p99_ms", "lookup p99", RED),
    Line("scrape_p99_ms", "/metrics p99", "#8e44ad"),
)
PANELS = (
    Panel("transactions a second", [Line("transactions_per_second", "", GREEN)]),
    Panel("latency, ms", LATENCIES),
    Panel("CPU a transaction, µs", _parts("us")),
    Panel("cores", _parts("cores", Line("loader_cores", "loader", "#999999")), is_log=False),
    Panel("resident, MB", _parts("mb")),
    Panel("store bytes a transaction", [Line("store_bytes_each", "", STORE)]),
)


def draw(curves: dict[str, Any], file: Path) -> None:
    """Write a PNG: medians as lines, least to most as bars."""
    size = 3.1 * len(PANELS), 2.7 * len(curves)
    with picture(file, size, len(curves), len(PANELS)) as grid:
        for row, (name, document) in zip(grid, curves.items(), strict=True):
            for axes, panel in zip(row, PANELS, strict=True):
                _draw_panel(axes, panel, document, is_log_axis=name != "duplicates")
        for axes, panel in zip(grid[0], PANELS, strict=True):
            axes.set_title(panel.title, fontsize=10, color=INK)


def _draw_panel(axes: Axes, panel: Panel, document: dict[str, Any], *, is_log_axis: bool) -> None:
    for line in panel.lines:
        drawn = [(point["at"], found) for point in document["points"] if (found := spread(point, line.name))]
        below = [found.median - found.least for _, found in drawn]
        above = [found.most - found.median for _, found in drawn]
        if drawn:
            at, medians = [at for at, _ in drawn], [found.median for _, found in drawn]
            axes.errorbar(at, medians, yerr=[below, above], label=line.label, color=line.colour, **STYLE)
    axes.set_xscale("log" if is_log_axis else "linear")
    axes.set_yscale("log" if panel.is_log else "linear")
    if not panel.is_log:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(document["axis"], fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    if any(line.label for line in panel.lines):
        axes.legend(fontsize=6, framealpha=0.8)
