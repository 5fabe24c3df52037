"""Resident bytes of the service's processes, and how glibc's heap is kept small."""

import ctypes
import os
from collections.abc import Callable, Mapping

import psutil

# mallopt(3): past the threshold a block is mapped by itself and goes back to the system when it is freed.
# Set, it no longer grows to 32 MiB with the first large body, after which freed bodies would stay with us.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
MAPPED_BLOCK_BYTES = 1024 * 1024
GATE_TRIMMED_TOP_BYTES = 4 * 1024 * 1024
# Compressed blocks have all sizes and leave in another order than what lies between them; mapped by
# themselves they leave no holes. So many at most: the kernel allows 65,530 mappings a process.
STORE_MAPPED_BLOCK_BYTES = 16 * 1024
STORE_MAPPED_BLOCKS = 32 * 1024
TRIMMED_TOP_BYTES = 256 * 1024
ARENAS = 2
# Small blocks that the store's background thread frees would wait in lists until a command needs a large one
# and has to join them all: 140 ms after a million transactions. Without the lists the thread does it itself.
_NO_UNJOINED_BLOCKS = "glibc.malloc.mxfast=0"


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


def keep_heap_small() -> None:
    """Tell glibc to give memory back early; elsewhere this does nothing."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, MAPPED_BLOCK_BYTES)
        mallopt(_M_TRIM_THRESHOLD, GATE_TRIMMED_TOP_BYTES)
        mallopt(_M_ARENA_MAX, ARENAS)


def trim_heap() -> None:
    """Give the heap's free pages back to the system (`malloc_trim(3)`); without glibc this does nothing."""
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)


def small_heap_environment() -> dict[str, str]:
    """Environment variables by which glibc keeps the heap of the embedded store small."""
    tunables = os.environ.get("GLIBC_TUNABLES", "")
    return {
        "GLIBC_TUNABLES": ":".join(filter(None, (tunables, _NO_UNJOINED_BLOCKS))),
        "MALLOC_MMAP_THRESHOLD_": str(STORE_MAPPED_BLOCK_BYTES),
        "MALLOC_MMAP_MAX_": str(STORE_MAPPED_BLOCKS),
        "MALLOC_TRIM_THRESHOLD_": str(TRIMMED_TOP_BYTES),
        "MALLOC_ARENA_MAX": str(ARENAS),
    }
