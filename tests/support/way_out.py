"""The way out of a gate inside a test, which counts what it reads of the store."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from app.consumers.block_cache import BlockCache
from app.consumers.ingest_priority import Pace
from app.consumers.readers import Readers
from app.consumers.stream_formats import Form, Look, Wanted
from app.consumers.stream_reader import StreamReader
from app.consumers.tail import Tail
from app.models import AcceptanceSignal
from app.runtime import Runtime
from app.store.positions import Positions, Start
from app.store.read_accepted import Accepted, Extract
from tests.support.streams import WAIT_SECONDS, Line, submit

PIECE_BYTES = 16 * 1024
LINES = Look(Form.LINES)


class CountingAccepted(Accepted):
    """Counts how often each block was read from the store."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(runtime.session, runtime.live.layout)
        self.blocks: list[tuple[int, int]] = []  # partition and first ordinal of each that was read
        self.reads = 0

    async def read(self, positions: Positions, limit: int, most_bytes: int) -> list[Extract]:
        """Read, and note what was read."""
        extracts = await super().read(positions, limit, most_bytes)
        self.reads += 1
        for partition, extract in enumerate(extracts):
            self.blocks += [(partition, block.ordinal) for block in extract.blocks]
        return extracts


class Out:
    """The way out of a gate inside the test, beside its own."""

    def __init__(self, runtime: Runtime, cache_bytes: int = 8 * 1024 * 1024) -> None:
        self.runtime = runtime
        self.accepted = CountingAccepted(runtime)
        self.cache = BlockCache(cache_bytes)
        pace = Pace(lambda: False)
        self.signal = AcceptanceSignal()
        self.tail = Tail(self.accepted, self.cache, pace, self.signal)
        self.readers = Readers(self.accepted, self.cache, self.tail, pace)

    async def reader(self, start: Start | Positions, **wanted: Any) -> StreamReader:
        """A reader from there on."""
        place = start if isinstance(start, Positions) else await self.accepted.find(start)
        start_ms = start if isinstance(start, int) else 0
        newest = await self.accepted.find("now")
        known = newest if newest.born_ms == place.born_ms else None
        return StreamReader(self.readers, Wanted(**({"look": LINES} | wanted)), place, start_ms, known)

    async def post(self, prefix: str, count: int, payload: bytes = b"null") -> None:
        """Have so many transactions accepted, in one flush."""
        await submit(self.runtime, prefix, count, payload)


async def take(reader: StreamReader, count: int, piece_bytes: int = PIECE_BYTES) -> list[Line]:
    """The next lines, of which the last piece has the last."""
    text = b""
    async with asyncio.timeout(WAIT_SECONDS):
        while text.count(b"\n") < count:
            piece = await reader.next_piece(piece_bytes)
            assert piece is not None
            assert len(piece) <= piece_bytes
            text += piece
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) == count
    return lines


def names(lines: Sequence[Line]) -> list[str]:
    return [line["signature"] for line in lines]
