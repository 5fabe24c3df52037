"""On a Cluster a stream has nothing of one partition before what was accepted earlier in another."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import count, islice

import pytest

from app.consumers import stream_reader, tail
from app.consumers.block_cache import Ledger
from app.store.partitions import partition_of, signature_hash
from app.store.positions import Positions
from app.store.read_accepted import Extract
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET
from tests.support.gate import running
from tests.support.handed import MEBIBYTE
from tests.support.servers import StoreServer
from tests.support.streams import WAIT_SECONDS
from tests.support.way_out import Out, names, take

pytestmark = pytest.mark.server

KEPT_LONG = {"transaction_retention_seconds": 3600, "dedup_window_seconds": 60}
FIRST, OTHER = 0, 1
"""Two partitions: of the first one the later transactions are, of the other the earlier ones."""


@pytest.fixture
async def out(started_stores: Callable[[str], StoreServer], settings_for: MakeSettings) -> AsyncIterator[Out]:
    """The way out of a gate in front of an empty Cluster."""
    store = started_stores("cluster")
    store.flush()
    async with running(settings_for(store, **KEPT_LONG, **QUIET)) as runtime:
        opened = Out(runtime)
        yield opened
        await opened.tail.close()


def _of(out: Out, partition: int, number: int) -> list[str]:
    """The prefixes of so many transactions of a partition, each of which is posted by itself."""
    partitions = out.runtime.session.partitions
    prefixes = (f"sent-{at}" for at in count())
    return list(
        islice((one for one in prefixes if _partition_of(f"{one}-0", partitions) == partition), number)
    )


def _partition_of(signature: str, partitions: int) -> int:
    return partition_of(signature_hash(signature), partitions)


async def _post(out: Out, prefixes: list[str]) -> list[str]:
    """Post one transaction for each, and wait until the store's clocks are past that; their signatures."""
    for prefix in prefixes:
        await out.post(prefix, 1)
    newest = await out.accepted.find("now")
    async with asyncio.timeout(WAIT_SECONDS):
        while True:
            extracts = await out.accepted.read(newest, 1, MEBIBYTE)
            if min(extract.now_ms for extract in extracts) > max(newest.before_ms):
                return [f"{prefix}-0" for prefix in prefixes]


async def test_what_another_reader_has_read_waits_for_what_was_accepted_before_it(out: Out) -> None:
    start = await out.accepted.find("now")
    held_up = await out.reader("now")
    earlier = await _post(out, _of(out, OTHER, 1))
    later = await _post(out, _of(out, FIRST, 1))
    [block] = (await out.accepted.read(start, 100, MEBIBYTE))[FIRST].blocks
    out.cache.put(Ledger(FIRST, len(start.born_ms), start.born_ms[FIRST]), block)
    assert names(await take(held_up, 2)) == earlier + later


async def test_what_the_tail_has_read_waits_for_what_one_read_was_not_enough_for(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tail, "MOST_TRANSACTIONS", 1)
    readers = [await out.reader("now") for _ in range(3)]
    earlier = await _post(out, _of(out, OTHER, 4))
    later = await _post(out, _of(out, FIRST, 2))
    out.accepted.blocks.clear()
    found = await asyncio.gather(*(take(reader, 6) for reader in readers))
    assert [names(lines) for lines in found] == [earlier + later] * 3
    assert len(out.accepted.blocks) == len(set(out.accepted.blocks)), "the tail alone has read them"


async def test_once_a_partition_is_back_a_reader_gets_what_the_tail_had_read_before(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is accepted, and no heartbeat is due, that would let it look."""
    monkeypatch.setattr(stream_reader, "HEARTBEAT_SECONDS", 3600)
    earlier = await _post(out, _of(out, OTHER, 1))
    later = await _post(out, _of(out, FIRST, 1))
    tailing = asyncio.create_task((await out.reader("now")).next_piece(1))
    away = _Away(out, monkeypatch)
    await _until(lambda: out.tail.down == {OTHER})
    reader = await out.reader("oldest")
    assert names(await take(reader, 1)) == later, "others are not held up"
    taking = asyncio.create_task(take(reader, 1))
    before = out.accepted.reads
    await _until(lambda: out.accepted.reads > before + 2)  # it waits with the other one
    away.is_away = False
    assert names(await taking) == earlier
    tailing.cancel()


async def test_once_a_partition_is_back_another_reader_gets_nothing_that_was_put_together_without_it(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = await out.accepted.find("now")
    earlier = await _post(out, _of(out, OTHER, 1))
    later = await _post(out, _of(out, FIRST, 1))
    away = _Away(out, monkeypatch)
    reader = await out.reader(start)
    assert names(await take(reader, 1)) == later
    away.is_away = False
    assert names(await take(reader, 1)) == earlier
    assert names(await take(await out.reader(start), 2)) == earlier + later


async def test_a_reader_that_was_held_up_since_a_partition_was_down_goes_by_what_the_tail_has_read_since(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_reader, "HEARTBEAT_SECONDS", 3600)
    start = await out.accepted.find("now")
    of_other, of_first = _of(out, OTHER, 2), _of(out, FIRST, 2)
    earlier = await _post(out, of_other[:1])
    later = await _post(out, of_first[:1])
    away = _Away(out, monkeypatch)
    held_up = await out.reader(start)
    assert names(await take(held_up, 1)) == later
    away.is_away = False
    taking = asyncio.create_task(take(await out.reader("now"), 2))
    await _until(lambda: out.tail.place is not None)
    newer = await _post(out, of_other[1:]) + await _post(out, of_first[1:])
    assert names(await taking) == newer
    assert names(await take(held_up, 3)) == earlier + newer


async def test_a_reader_does_not_wait_at_the_tail_for_what_the_tail_has_read_before(
    out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call of the reader fails; the tail has news neither before nor after it."""
    monkeypatch.setattr(stream_reader, "HEARTBEAT_SECONDS", 3600)
    start = await out.accepted.find("now")
    earlier = await _post(out, _of(out, OTHER, 1))
    later = await _post(out, _of(out, FIRST, 1))
    tailing = asyncio.create_task((await out.reader("now")).next_piece(1))
    await _until(lambda: out.tail.added != ())
    away = _Away(out, monkeypatch, start.ordinals[OTHER])
    reader = await out.reader(start)
    assert names(await take(reader, 1)) == later
    away.is_away = False
    assert names(await take(reader, 1)) == earlier
    tailing.cancel()


class _Away:
    """Has the other partition not answer, until it is back; only from one ordinal on, if one is given."""

    def __init__(self, out: Out, monkeypatch: pytest.MonkeyPatch, ordinal: int | None = None) -> None:
        self._read, self._ordinal, self.is_away = out.accepted.read, ordinal, True
        monkeypatch.setattr(out.accepted, "read", self._read_without)

    async def _read_without(self, positions: Positions, limit: int, most_bytes: int) -> list[Extract]:
        extracts, ordinal = await self._read(positions, limit, most_bytes), positions.ordinals[OTHER]
        if self.is_away and self._ordinal in {None, ordinal}:
            extracts[OTHER] = extracts[OTHER]._replace(
                begin=ordinal, end=ordinal, added=ordinal, blocks=[], is_down=True
            )
        return extracts


async def _until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SECONDS):
        while not is_so():
            await asyncio.sleep(0.01)
