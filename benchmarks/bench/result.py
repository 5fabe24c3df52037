"""What one row of the benchmark's table says."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Literal


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
    wanted: Literal["at least", "at most"]
    bound: float | None
    """None for a row that is there for comparison only."""
    unit: str
    """`×` for a ratio."""
    measured: Sequence[float]
    """One figure a pair, in the order they were taken."""
    details: dict[str, object]
    """JSON-able: rates, latencies and CPU of both sides, for whoever wants to know more."""
    remark: str = ""
    """What bounds it, or what a reader has to know, in a sentence."""

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

    def as_dict(self) -> dict[str, object]:
        """All of it, for JSON."""
        return asdict(self) | {"median": self.median, "is_met": self.is_met}
