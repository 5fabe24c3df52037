"""Plots of memory over time, legible on light and dark pages."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

MB = 1e6
COLOURS = {"gate": "#1f77b4", "store": "#d9730d", "replaced": "#c0392b", "tidegate": "#1a7f5a"}

Line = tuple[str, str, Sequence[tuple[float, float]]]


def plot_memory(
    file: Path,
    title: str,
    lines: Sequence[Line],
    *,
    warm_up_seconds: float = 0.0,
    trends: Sequence[Line] = (),
) -> None:
    """Write a PNG of (label, colour name, [(seconds, bytes)]) in MB over minutes; trends are dashed."""
    figure, axes = plt.subplots(figsize=(9, 4.5), dpi=120, facecolor="white")
    for label, colour, points in lines:
        axes.plot(*_in_units(points), label=label, color=COLOURS[colour], linewidth=1.6)
    for label, _, points in trends:
        axes.plot(*_in_units(points), "--", label=label, color="#333333", linewidth=1.2)
    if warm_up_seconds:
        axes.axvspan(0, warm_up_seconds / 60, color="#999999", alpha=0.15, label="warm-up, not judged")
    axes.set(title=title, xlabel="minutes", ylabel="resident memory, MB")
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="best", framealpha=0.9)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)


def _in_units(points: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [seconds / 60 for seconds, _ in points], [amount / MB for _, amount in points]
