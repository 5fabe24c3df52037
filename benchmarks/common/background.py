"""Work that goes on in a thread while a benchmark does something else: a load, or a look at memory."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event


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
def repeated(action: Callable[[], object], pause_seconds: Callable[[], float]) -> Iterator[None]:
    """Do something over and over while the block runs, with a pause behind each time."""

    def work(stop: Event) -> None:
        action()
        while not stop.wait(pause_seconds()):
            action()

    with meanwhile(work):
        yield
