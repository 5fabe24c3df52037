"""Readers of memory: resident bytes of the service's processes, and the cgroup's limit."""

import os
from collections.abc import Callable
from pathlib import Path

import psutil

CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
# cgroup v1 writes "no limit" as a number near 2**63.
_NO_LIMIT_BYTES = 1 << 60


def rss_bytes(pid: int | None) -> int | None:
    """Resident bytes of a process, None when there is no such process."""
    if pid is None:
        return None
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def cgroup_limit_bytes(files: tuple[Path, ...] = CGROUP_LIMITS) -> int | None:
    """The memory limit of our cgroup (v2, else v1), None without one."""
    for file in files:
        try:
            limit = int(file.read_text())
        except (OSError, ValueError):
            continue
        if limit < _NO_LIMIT_BYTES:
            return limit
    return None


class Processes:
    """The service's processes by name: this one, and the store when it is ours."""

    def __init__(self, store_pid: Callable[[], int | None]) -> None:
        self._store_pid = store_pid
        self.rss: dict[str, tuple[int, int]] = {}

    def read(self) -> dict[str, tuple[int, int]]:
        """Process id and resident bytes of each process that runs, by its name."""
        pids = {"gate": os.getpid(), "store": self._store_pid()}
        readings = {name: (pid, rss_bytes(pid)) for name, pid in pids.items() if pid is not None}
        self.rss = {name: (pid, rss) for name, (pid, rss) in readings.items() if rss is not None}
        return self.rss

    def total_bytes(self) -> int:
        """Resident bytes of all together, read now."""
        return sum(rss for _, rss in self.read().values())
