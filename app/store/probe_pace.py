"""When a store that is down is probed next: soon at first, then less often."""

import time

from app.errors import StoreDenied, StoreError, StoreNoPrimary

PROBE_SECONDS, MOST_PROBE_SECONDS, REFUSED_PROBE_SECONDS = 0.1, 0.5, 5.0


class ProbePace:
    """Spaces the probes of a store: 0.1 to 0.5 s, and 5 s after it refused a command."""

    def __init__(self) -> None:
        self._failed = 0
        self._next = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the next probe is due."""
        return time.monotonic() >= self._next

    def went_down(self, reason: StoreError) -> None:
        """Begin anew, as the store went down for this reason.

        Something may be refused that the probe does not try. Each probe would then bring the gate up, and the
        next claim take it down: it is probed less often.
        """
        self._failed = 0
        is_refused = isinstance(reason, StoreDenied) and reason.command is not None
        self.put_off(REFUSED_PROBE_SECONDS if is_refused else PROBE_SECONDS)

    def failed(self, error: Exception) -> None:
        """Put the next probe off, as one failed so.

        Sentinels that vouch for no primary yet are asked as often as while they vouch for one.
        """
        if isinstance(error, StoreNoPrimary):
            self._failed = 0
        waited = PROBE_SECONDS * 2**self._failed
        self._failed += 1 if waited < MOST_PROBE_SECONDS else 0
        self.put_off(min(waited, MOST_PROBE_SECONDS))

    def partly_failed(self) -> None:
        """Put the next probe off, as some of the store is down still."""
        self.put_off(MOST_PROBE_SECONDS)

    def put_off(self, seconds: float = PROBE_SECONDS) -> None:
        """Put the next probe off for so long."""
        self._next = time.monotonic() + seconds

    def came_up(self) -> None:
        """Begin with the shortest time when it goes down again."""
        self._failed = 0
