"""Growth split into parts, and the part that is to blame; shared by gate and store."""

from collections.abc import Mapping
from typing import NamedTuple

from app.guard.diagnosis.document import Cause, Part, PartName

# What holds other things along with it is named although those are more; all else has to be most of it.
NAMED_SHARE, GENERAL_SHARE = 0.25, 0.4

Sizes = dict[PartName, int]


class ExplainedGrowth(NamedTuple):
    """Parts that add up to the growth, and what they point at."""

    growth_bytes: int
    parts: list[Part]
    cause: Cause

    def bytes_of(self, name: PartName) -> int:
        """Growth of one part."""
        return sum(part.bytes for part in self.parts if part.part is name)

    def count_of(self, name: PartName) -> int:
        """How many more of it there are."""
        return sum(part.count or 0 for part in self.parts if part.part is name)


def split(growth_bytes: int, sizes: Sizes, counts: Mapping[PartName, int]) -> list[Part]:
    """The estimates as parts; what they leave over is unexplained, and where they are too much all shrink."""
    estimated = sum(sizes.values())
    scale = max(0, growth_bytes) / estimated if estimated > growth_bytes and estimated > 0 else 1.0
    parts = {name: round(size * scale) for name, size in sizes.items()}
    parts[PartName.UNEXPLAINED] = growth_bytes - sum(parts.values())
    return [Part(part=name, bytes=size, count=counts.get(name)) for name, size in parts.items()]


def blame(
    growth_bytes: int,
    sizes: Sizes,
    named: Mapping[PartName, Cause],
    general: Mapping[PartName, Cause],
) -> Cause:
    """The named part that explains a quarter, else the general one that explains most."""
    for causes, share in ((named, NAMED_SHARE), (general, GENERAL_SHARE)):
        most = max(causes, key=lambda name: sizes[name])
        if sizes[most] > 0 and sizes[most] >= share * growth_bytes:
            return causes[most]
    return Cause.UNKNOWN
