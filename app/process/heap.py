"""glibc's heap: what it holds, how it is kept small, and how its free pages go back to the system."""

import ctypes
import os
from collections.abc import Callable
from typing import NamedTuple

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


class Heap(NamedTuple):
    """Bytes of glibc's heap (`mallinfo2(3)`): used by the program, and freed by it but kept.

    Free pages count although they may have been given back to the system.
    """

    used_bytes: int
    free_bytes: int


class _Mallinfo2(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def heap_reader() -> Callable[[], Heap] | None:
    """Return a reader of the heap, a call of microseconds; None where the C library has none.

    That is glibc before 2.33, and musl.
    """
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _Mallinfo2

    def read() -> Heap:
        figures = function()
        return Heap(figures.uordblks + figures.hblkhd, figures.fordblks)

    return read


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
