"""The rows of the benchmark in one picture: how much better than wanted each is."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median

from matplotlib.axes import Axes

from benchmarks.bench.result import Result
from benchmarks.common.plots import GREEN, INK, RED, picture

TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
LABEL_CHARACTERS = 70
# As far as the picture goes.
BEST = 100.0


def margins(result: Result) -> list[float]:
    """Each measurement as a multiple of what is wanted, above 1 where it is better, `BEST` at the most."""
    bound = result.bound or 0.0
    if result.wanted == "at least":
        return [min(BEST, value / bound) for value in result.measured]
    return [bound / max(value, bound / BEST) for value in result.measured]


def draw(results: Sequence[Result], file: Path) -> None:
    """Write a PNG: a bar from 1 to the median of each row that has a bound, and its range."""
    rows = [one for one in results if one.bound][::-1]
    every = [1.0, *(margin for one in rows for margin in margins(one))]
    least, most = min(every) / 1.3, max(every) * 1.3
    ticks = [tick for tick in TICKS if least <= tick <= most]
    with picture(file, (11, 1.3 + 0.5 * len(rows))) as [[axes]]:
        for at, one in enumerate(rows):
            _draw_row(axes, at, one)
        axes.set(xscale="log", xlim=(least, most), title="make bench: times better than wanted")
        axes.set_xticks(ticks, [f"{tick:g} ×" for tick in ticks], fontsize=8)
        axes.set_xticks([], minor=True)
        axes.set_yticks(range(len(rows)), [_label(one) for one in rows], fontsize=7)
        axes.axvline(1, color=INK, linewidth=1.2)
        axes.grid(visible=True, axis="x", alpha=0.3)


def _draw_row(axes: Axes, at: int, one: Result) -> None:
    every = margins(one)
    axes.barh(at, median(every) - 1, left=1, height=0.55, color=GREEN if one.is_met else RED)
    axes.plot([min(every), max(every)], [at, at], color=INK, linewidth=1.6, marker="|")
    axes.text(1.01, at, one.told, transform=axes.get_yaxis_transform(), va="center", fontsize=8)


def _label(one: Result) -> str:
    lines = [one.work] if one.against == "—" else [one.work, f"against {one.against}"]
    return "\n".join(line[:LABEL_CHARACTERS] + "…" * (len(line) > LABEL_CHARACTERS) for line in lines)
