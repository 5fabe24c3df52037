"""Pictures as files, legible on light and dark pages, and the one of memory over time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

MB = 1e6
GREEN, RED, INK, GATE, STORE = "#1a7f5a", "#c0392b", "#333333", "#1f77b4", "#d9730d"

Line = tuple[str, str, Sequence[tuple[float, float]]]
"""A label, a colour, and seconds with bytes."""


@contextmanager
def picture(file: Path, size: tuple[float, float], rows: int = 1, columns: int = 1) -> Iterator[Any]:
    """Draw on axes, a list of lists of them, and write them as a PNG of so many inches."""
    figure = Figure(figsize=size, dpi=120, facecolor="white")
    yield figure.subplots(rows, columns, squeeze=False)
    figure.tight_layout()
    figure.savefig(file)


def plot_memory(file: Path, title: str, lines: Sequence[Line], warm_up_seconds: float = 0.0) -> None:
    """Draw resident memory in MB over minutes."""
    with picture(file, (9, 4.5)) as [[axes]]:
        for label, colour, points in lines:
            minutes, amounts = [at / 60 for at, _ in points], [held / MB for _, held in points]
            axes.plot(minutes, amounts, label=label, color=colour, linewidth=1.6)
        if warm_up_seconds:
            axes.axvspan(0, warm_up_seconds / 60, color="#999999", alpha=0.15, label="warm-up, not judged")
        axes.set(title=title, xlabel="minutes", ylabel="resident memory, MB", ylim=(0, None), xlim=(0, None))
        axes.grid(visible=True, alpha=0.3)
        axes.legend(loc="best", framealpha=0.9)
