"""The curves as small multiples: a row a curve, a column for each that every curve has in its table."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from benchmarks.common.plots import GATE, GREEN, INK, RED, STORE, picture
from benchmarks.curves.plan import Column
from benchmarks.curves.table import spread

# By the beginning of a figure's name: `gate_us` has the gate's.
COLOURS = {"gate": GATE, "store": STORE, "loader": "#999999", "lookup": RED, "scrape": "#8e44ad"}
COLOURS |= {"handwritten": RED, "bare": "#999999", "set": STORE}
COLOURS |= {"p50": "#9db8d9", "p99": "#4a78b5", "p999": "#1b3a66"}
# Only the curve of the maps has these; they are drawn beside the other times.
READERS = {"p99_ms": ["lookup_p99_ms", "scrape_p99_ms"]}
STYLE: dict[str, Any] = {"marker": "o", "markersize": 3, "linewidth": 1.3, "elinewidth": 0.8}


def draw(curves: dict[str, Any], file: Path, columns: Sequence[Column]) -> None:
    """Write a PNG, if there are curves: medians as lines, least to most as bars."""
    if not curves:
        return
    size = 3.1 * len(columns), 2.7 * len(curves)
    with picture(file, size, len(curves), len(columns)) as grid:
        for row, (name, document) in zip(grid, curves.items(), strict=True):
            for axes, column in zip(row, columns, strict=True):
                _draw_panel(axes, column, document)
                axes.set_xscale("linear" if name == "duplicates" else "log")
        for axes, column in zip(grid[0], columns, strict=True):
            axes.set_title(column.head, fontsize=10, color=INK)


def _draw_panel(axes: Axes, column: Column, document: dict[str, Any]) -> None:
    names = [name for each in column.names for name in (each, *READERS.get(each, []))]
    for name in names:
        drawn = [(point["at"], *found) for point in document["points"] if (found := spread(point, name))]
        if drawn:
            at, middle, least, most = np.array(drawn).T
            colour = COLOURS.get(name.partition("_")[0], GREEN)
            label = name.removesuffix("_ms").replace("_", " ")
            bars = [middle - least, most - middle]
            axes.errorbar(at, middle, yerr=bars, label=label, color=colour, **STYLE)
    if column.head.startswith("cores"):
        axes.set_ylim(bottom=0)
    else:
        axes.set_yscale("log")
    axes.set_xlabel(document["axis"], fontsize=8)
    axes.tick_params(labelsize=7)
    axes.grid(visible=True, alpha=0.3)
    if len(names) > 1 and axes.has_data():
        axes.legend(fontsize=6, framealpha=0.8)
