"""The history of each gate in the store: encoded samples, oldest first, bounded, for all gates to read."""

from collections.abc import Callable, Sequence
from typing import Any

from app.models import HISTORY_DAYS
from app.store.map_rules import Layout
from app.store.session import StoreSession

MOST_SAMPLES = HISTORY_DAYS * 24 * 60
MOST_GATES = 32
KEPT_MS = HISTORY_DAYS * 24 * 3600 * 1000
SILENCE_MS = 3600 * 1000
PAGE_SAMPLES = 720


class StoredSamples:
    """One list a gate and a register of the gates, in the first partition."""

    def __init__(self, session: StoreSession, layout: Callable[[], Layout]) -> None:
        self._session = session
        self._layout = layout

    async def add(self, gate: str, samples: Sequence[bytes]) -> bool:
        """Append to a gate's history; False when there are 32 other gates, all heard of within the hour.

        Raises:
            StoreError: whether they were stored is unknown.
        """
        limits = (MOST_SAMPLES, MOST_GATES, KEPT_MS, SILENCE_MS)
        return bool(await self._run("add_history", gate, *limits, *samples))

    async def gates(self) -> list[str]:
        """The gates that have a history, the one heard of last at the end.

        Raises:
            StoreError: they could not be read.
        """
        return [name.decode("utf-8", "replace") for name in await self._run("read_history")]

    async def first(self, gate: str) -> bytes | None:
        """The oldest sample of a gate; None without one.

        Raises:
            StoreError: it could not be read.
        """
        found: list[bytes] = await self._run("read_history", gate, 0, 0)
        return found[0] if found else None

    async def page(self, gate: str, number: int) -> list[bytes]:
        """Up to 720 samples of a gate, oldest first; page 0 ends with the latest one, higher pages are older.

        Raises:
            StoreError: they could not be read.
        """
        last = -1 - number * PAGE_SAMPLES
        page: list[bytes] = await self._run("read_history", gate, last - PAGE_SAMPLES + 1, last)
        return page

    async def _run(self, script: str, *args: bytes | str | int) -> Any:
        layout = self._layout()
        return await self._session.run(script, layout.prefixes[0], [layout.rules, *args])
