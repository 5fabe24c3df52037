"""What the benchmark found: its rows, and the cases that did not come to an end."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Literal

import msgspec

from benchmarks.common.results import quantity, taken_here

Wanted = Literal["at least", "at most"]


@dataclass(frozen=True)
class Result:
    """One judged figure: the median of several measurements beside what is wanted of it.

    With a rival, each measurement is the ratio of one pair (Tidegate ÷ rival, run one after the other);
    without, it is the figure itself in `unit`.
    """

    work: str
    """What was done, as the table calls it."""
    against: str
    """The rival or the reference; `—` for none."""
    wanted: Wanted
    bound: float | None
    """None for a row that is there for comparison only."""
    unit: str
    """`×` for a ratio."""
    measured: Sequence[float]
    """One figure a pair, in the order they were taken."""
    details: Mapping[str, object]
    """JSON-able: rates, latencies and CPU of both sides, for whoever wants to know more."""
    remark: str = ""
    """What bounds it, or what a reader has to know, in a sentence."""
    is_for_readme: bool = True
    """Whether the README tells it, too; a row that is there for comparison only it never does."""

    @property
    def median(self) -> float:
        """The figure that is judged."""
        return median(self.measured)

    @property
    def is_met(self) -> bool:
        """Whether the median is within the bound, if there is one."""
        if self.bound is None:
            return True
        return self.median >= self.bound if self.wanted == "at least" else self.median <= self.bound

    @property
    def bound_text(self) -> str:
        """The bound as the table writes it."""
        if self.bound is None:
            return "for comparison"
        return f"{'≥' if self.wanted == 'at least' else '≤'} {quantity(self.bound, self.unit)}"

    @property
    def told(self) -> str:
        """The median and the bound."""
        return f"{quantity(self.median, self.unit)}, wanted {self.bound_text}"

    def as_dict(self) -> dict[str, object]:
        """Return the row with its median and verdict, as JSON takes it."""
        return asdict(self) | {"median": self.median, "is_met": self.is_met}


Case = Callable[[int, float], list[Result]]
"""Measures some rows: with how many pairs, and for how many seconds each time."""


@dataclass
class Report:
    """All rows of one run, and the cases that failed."""

    pairs: int
    seconds: float
    rows: list[Result] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by the name of the case."""

    @property
    def complaints(self) -> list[str]:
        """What is not as it has to be, a line each."""
        missed = [one for one in self.rows if not one.is_met]
        return [
            *(f"missed: {one.work}, against {one.against}: {one.told}" for one in missed),
            *(f"failed: {name}: {why}" for name, why in self.failed.items()),
        ]

    def as_dict(self) -> dict[str, object]:
        """Return all rows and what failed, as JSON takes them."""
        return taken_here() | asdict(self) | {"rows": [one.as_dict() for one in self.rows]}


def results_of(document: dict[str, Any]) -> list[Result]:
    """The rows of a report that was written as JSON; what follows from the others is left out."""
    return msgspec.convert(document["rows"], list[Result])
