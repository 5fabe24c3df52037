"""Work that goes on beside a benchmark: in a thread of its own, or in a process that nothing may delay."""

import ctypes
import gc
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import TypeVar

PR_SET_TIMERSLACK, NANOSECOND = 29, 1

Sample = TypeVar("Sample")


def punctual() -> None:
    """Let nothing of this process's own delay it from now on: it would be taken for the gate's."""
    gc.disable()
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, NANOSECOND)  # else Linux wakes it 50 µs late


@contextmanager
def meanwhile(work: Callable[[Event], object]) -> Iterator[None]:
    """Run the work while the block runs; it has to end soon after its event is set. Its error is raised."""
    stop = Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work, stop)
        try:
            yield
        finally:
            stop.set()
        running.result()


@contextmanager
def sampled(read: Callable[[], Sample], every_seconds: float) -> Iterator[list[Sample]]:
    """Read something over and over while the block runs; the samples fill meanwhile."""
    samples: list[Sample] = []

    def work(stop: Event) -> None:
        samples.append(read())
        # At uneven times: in step with the buckets, all samples would show one end of their sawtooth.
        while not stop.wait(every_seconds * random.uniform(0.8, 1.2)):
            samples.append(read())

    with meanwhile(work):
        yield samples
