"""Reads the resident bytes of the service's processes, and how much memory the machine has."""

import os
from collections.abc import Callable, Mapping

import psutil


def rss_bytes(pid: int | None) -> int | None:
    """Read the resident bytes of a process; None when there is no such process."""
    if pid is None:
        return None
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def own_resident_bytes() -> int:
    """Read the resident bytes of this process."""
    return int(psutil.Process().memory_info().rss)


def machine_bytes() -> int:
    """Return how much memory the machine has; the C library knows it also where `/proc/meminfo` is hidden."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


class Processes:
    """The service's processes by name: this one, its workers, and the store when it is ours."""

    def __init__(
        self,
        store_pid: Callable[[], int | None],
        worker_pids: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        self._store_pid, self._worker_pids = store_pid, worker_pids
        self.rss: dict[str, tuple[int, int]] = {}

    def read(self) -> dict[str, tuple[int, int]]:
        """Read the process id and resident bytes of each process that runs, by its name; `rss` keeps them."""
        readings = {name: (pid, rss_bytes(pid)) for name, pid in self._pids().items() if pid is not None}
        self.rss = {name: (pid, rss) for name, (pid, rss) in readings.items() if rss is not None}
        return self.rss

    def rss_bytes_of(self, name: str) -> int | None:
        """Read the resident bytes of one process; None when it does not run or is not one of ours."""
        return rss_bytes(self._pids().get(name))

    def total_bytes(self) -> int:
        """Read the resident bytes of all processes together."""
        return sum(rss for _, rss in self.read().values())

    def _pids(self) -> dict[str, int | None]:
        return {"gate": os.getpid(), **self._worker_pids(), "store": self._store_pid()}
