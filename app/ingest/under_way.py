"""Which signatures the flushes of this gate have in hand, so that no two of them ask for the same at once."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class UnderWay:
    """Hashes by the flush that has them."""

    def __init__(self) -> None:
        self._ends: dict[bytes, asyncio.Event] = {}

    def split(self, hashes: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """The places of those that no flush has in hand, and of those that one has."""
        if self._ends.keys().isdisjoint(hashes):
            return list(range(len(hashes))), []
        held = [at for at, digest in enumerate(hashes) if digest in self._ends]
        return [at for at, digest in enumerate(hashes) if digest not in self._ends], held

    @contextmanager
    def noted(self, hashes: Sequence[bytes]) -> Iterator[None]:
        """Have these in hand while the block runs; no other flush may have one of them."""
        end = asyncio.Event()
        self._ends.update(dict.fromkeys(hashes, end))
        try:
            yield
        finally:
            for digest in hashes:
                del self._ends[digest]
            end.set()

    async def ended(self, hashes: Sequence[bytes]) -> None:
        """Wait until the flushes that have these now are done with them."""
        for end in {self._ends[digest] for digest in hashes if digest in self._ends}:
            await end.wait()
