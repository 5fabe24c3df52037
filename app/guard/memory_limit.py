"""The memory limit: of the settings, else of the control group, else a share of the machine's memory."""

from enum import StrEnum
from typing import NamedTuple


class LimitSource(StrEnum):
    """Where the memory limit comes from; the first that there is holds."""

    SETTING = "setting"
    """`memory_limit_bytes`."""
    CGROUP = "cgroup"
    MACHINE = "machine"
    """The share `memory_machine_ratio` of the machine's memory."""


class MemoryLimit(NamedTuple):
    """What the service may hold, and who says so."""

    bytes: int
    source: LimitSource


def find_limit(*, setting: int | None, cgroup: int | None, machine_share: int) -> MemoryLimit | None:
    """Return the limit that holds, given that of each source in bytes; None if there is none.

    Say the settings have none, the control group has 512 MiB, and the share of the machine is 4 GiB: then
    512 MiB of the control group hold. A share of 0 is no limit.
    """
    limits = ((setting, LimitSource.SETTING), (cgroup, LimitSource.CGROUP))
    found = (MemoryLimit(limit, source) for limit, source in limits if limit is not None)
    return next(found, MemoryLimit(machine_share, LimitSource.MACHINE) if machine_share else None)
