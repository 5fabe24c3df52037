"""What tests of Python's garbage collector share."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def only_what_comes_from_now_on() -> Iterator[None]:
    """Let the collector leave out what is there already, much: these tests have it look often."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
