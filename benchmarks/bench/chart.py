"""The rows of the benchmark in one picture: how much better than wanted each is."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt

from benchmarks.bench.report import quantity, wanted
from benchmarks.bench.result import Result

MET, MISSED = "#1a7f5a", "#c0392b"


def margins(result: Result) -> list[float]:
    """Each measurement as a multiple of what is wanted, above 1 where it is better."""
    bound = result.bound or 0.0
    if result.wanted == "at least":
        return [value / bound for value in result.measured]
    return [bound / value for value in result.measured]


def draw(results: Sequence[Result], file: Path) -> None:
    """Write a PNG: a bar from 1 to the median of each row that has a bound, and its range."""
    rows = [one for one in results if one.bound][::-1]
    figure, axes = plt.subplots(figsize=(10, 1.2 + 0.55 * len(rows)), dpi=120, facecolor="white")
    for at, one in enumerate(rows):
        every = margins(one)
        middle = sorted(every)[len(every) // 2]
        axes.barh(at, middle - 1, left=1, height=0.5, color=MET if one.is_met else MISSED)
        axes.plot([min(every), max(every)], [at, at], color="#333333", linewidth=1.4)
        axes.annotate(
            f"{quantity(one.median, one.unit)}, wanted {wanted(one)}",
            (max(*every, 1.0), at),
            xytext=(6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(rows)), [f"{one.work}\nagainst {one.against}" for one in rows], fontsize=7)
    axes.set(xscale="log", xlabel="times better than wanted (log scale); line: least to most")
    axes.axvline(1, color="#333333", linewidth=1)
    axes.margins(x=0.35)
    axes.grid(visible=True, axis="x", which="both", alpha=0.25)
    figure.tight_layout()
    figure.savefig(file)
    plt.close(figure)
