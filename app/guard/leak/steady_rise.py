"""Is a series of floors a steady rise? A leak rises in most parts of its window, a step in one or two."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from app.guard.leak.floors import Floor
from app.guard.leak.statistics import mann_kendall, theil_sen

SECONDS_AN_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Demand:
    """What a window's floors have to show.

    `bytes_per_second`: the least slope. The window is cut into `parts`, and from part to part at least
    `rises` of the `parts - 1` rises have to reach `rise_share` of what that slope would bring. Resident bytes
    have to rise by `resident_share` of it. `p_value`: at most this by Mann-Kendall.
    """

    bytes_per_second: float
    parts: int
    rises: int
    rise_share: float = 0.5
    resident_share: float = 0.5
    p_value: float = 0.001


def slope_bytes_per_second(floors: Sequence[Floor]) -> float:
    """Theil-Sen's slope of what is unexplained; 0 with fewer than two floors."""
    if len(floors) < 2:  # noqa: PLR2004 - one floor has no slope
        return 0.0
    return theil_sen([(floor.at_seconds, floor.unexplained_bytes) for floor in floors]).value


def rises_steadily(floors: Sequence[Floor], demand: Demand) -> bool:
    """Whether the floors meet the demand; cheap questions come first, so most calls cost microseconds."""
    return (
        len(floors) >= demand.parts
        and floors[-1].unexplained_bytes > floors[0].unexplained_bytes
        and _parts_rise(floors, demand)
        and _resident_rises(floors, demand)
        and slope_bytes_per_second(floors) >= demand.bytes_per_second
        and _is_upwards(floors, demand)
    )


def _parts_rise(floors: Sequence[Floor], demand: Demand) -> bool:
    levels = [median(part) for part in _parts([floor.unexplained_bytes for floor in floors], demand.parts)]
    part_seconds = (floors[-1].at_seconds - floors[0].at_seconds) / demand.parts
    least = demand.rise_share * demand.bytes_per_second * part_seconds
    rising = sum(later - earlier >= least for earlier, later in pairwise(levels))
    return rising >= demand.rises and levels[-1] - levels[0] >= least * (demand.parts - 1)


def _resident_rises(floors: Sequence[Floor], demand: Demand) -> bool:
    """What was explained and is now kept by the allocator is no growth: resident bytes have to rise too."""
    first, *_, last = _parts([floor.resident_bytes for floor in floors], demand.parts)
    seconds = floors[-1].at_seconds - floors[0].at_seconds
    return median(last) - median(first) >= demand.resident_share * demand.bytes_per_second * seconds


def _is_upwards(floors: Sequence[Floor], demand: Demand) -> bool:
    test = mann_kendall([floor.unexplained_bytes for floor in floors])
    return test.z > 0 and test.p_value <= demand.p_value


def _parts(values: Sequence[int], parts: int) -> list[Sequence[int]]:
    edges = [len(values) * number // parts for number in range(parts + 1)]
    return [values[start:end] for start, end in pairwise(edges)]
