"""The limit on readers that are served at once, of streams and of leases (TIDEGATE_STREAM_READERS_LIMIT)."""

from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import Overloaded
from app.settings.process_limits import process_limits
from app.store.settings_in_force import LiveSettings


class Places:
    """Places for readers of one kind, as many as TIDEGATE_STREAM_READERS_LIMIT allows."""

    def __init__(self, what: str, live: LiveSettings) -> None:
        self._what, self._live = what, live
        self.taken = 0
        """How many are taken now."""

    @contextmanager
    def take(self) -> Iterator[None]:
        """Take a place for a while.

        Raises:
            Overloaded: there is none.
        """
        most = process_limits(self._live.settings).readers
        if self.taken >= most:
            raise Overloaded(f"{most} {self._what} are open (TIDEGATE_STREAM_READERS_LIMIT)")
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1
