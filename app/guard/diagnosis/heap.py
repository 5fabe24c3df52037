"""What glibc's heap holds: used by the program, and freed by it but kept (`mallinfo2(3)`)."""

import ctypes
from collections.abc import Callable
from typing import NamedTuple


class Heap(NamedTuple):
    """Bytes of `malloc`: in use, and free. Free pages count although they may have been given back."""

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
    """A reader that takes microseconds; None where the C library has none (glibc before 2.33, musl)."""
    function = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if function is None:
        return None
    function.restype = _Mallinfo2

    def read() -> Heap:
        figures = function()
        return Heap(figures.uordblks + figures.hblkhd, figures.fordblks)

    return read
