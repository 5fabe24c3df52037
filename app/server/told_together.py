"""Log lines on what a storm makes happen a thousand times a second."""

import asyncio
from collections import Counter
from collections.abc import Callable

TOLD_EVERY_SECONDS = 10.0


class ToldTogether:
    """Tells of each kind the first at once, and those of the next ten seconds together.

    `tell` is called with the kind and how many there were.
    """

    def __init__(self, tell: Callable[[str, int], None]) -> None:
        self._tell = tell
        self._untold: Counter[str] = Counter()
        self._quiet: set[str] = set()

    def note(self, kind: str, times: int = 1) -> None:
        """Count some of a kind; called in a running event loop."""
        self._untold[kind] += times
        if kind not in self._quiet:
            self._speak(kind)

    def _speak(self, kind: str) -> None:
        self._quiet.discard(kind)
        times = self._untold.pop(kind, 0)
        if times:
            self._tell(kind, times)
            self._quiet.add(kind)
            asyncio.get_running_loop().call_later(TOLD_EVERY_SECONDS, self._speak, kind)
