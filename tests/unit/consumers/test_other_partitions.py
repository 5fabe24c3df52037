"""The number of a Cluster's partitions is changed while a stream is open: it tells a gap, and goes on."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterator

import pytest

from app.consumer_errors import UnknownCursor
from app.consumers.cursor import parse_cursor
from app.consumers.stream_reader import StreamReader
from app.store.partitions import first_prefix
from tests.conftest import MakeSettings
from tests.support.api_calls import QUIET, until
from tests.support.gate import running
from tests.support.servers import StoreServer, cluster_server
from tests.support.streams import WAIT_SECONDS, Line
from tests.support.way_out import PIECE_BYTES, Out, names, take

pytestmark = pytest.mark.server

KEY = f"{first_prefix('tidegate')}:2:partitions"
BEFORE, AFTER = 16, 64
COUNT = 40
KEPT_LONG = {"transaction_retention_seconds": 3600, "dedup_window_seconds": 60}


@pytest.fixture(scope="module")
def three_masters() -> Iterator[StoreServer]:
    with cluster_server() as server:
        yield server


@pytest.fixture
async def out(three_masters: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Out]:
    """The way out of a gate in front of an empty Cluster."""
    three_masters.flush()
    async with running(settings_for(three_masters, **KEPT_LONG, **QUIET)) as runtime:
        assert runtime.session.partitions == BEFORE
        opened = Out(runtime)
        yield opened
        await opened.tail.close()


async def _change(out: Out, server: StoreServer) -> None:
    """Have another number of partitions, and wait until the gate has noticed."""
    with server.client() as client:
        client.set(KEY, AFTER, ex=600)

    async def has_noticed() -> bool:
        return out.runtime.session.is_up and out.runtime.session.partitions == AFTER

    await until(has_noticed)


def _names(prefix: str) -> list[str]:
    return [f"{prefix}-{number}" for number in range(COUNT)]


async def _take_until(reader: StreamReader, wanted: list[str]) -> list[Line]:
    """Take lines until all that are wanted were among them."""
    lines: list[Line] = []
    async with asyncio.timeout(WAIT_SECONDS):
        while not {line.get("signature") for line in lines}.issuperset(wanted):
            piece = await reader.next_piece(PIECE_BYTES)
            assert piece is not None
            lines += map(json.loads, filter(None, piece.splitlines()))
    return lines


@pytest.mark.parametrize("waits", [False, True])
async def test_an_open_stream_tells_a_gap_and_goes_on_with_what_comes(
    out: Out, three_masters: StoreServer, waits: bool
) -> None:
    """What was accepted in the last moment that was read may come again, and nothing else."""
    await out.post("early", COUNT)
    await out.post("late", COUNT)
    reader = await out.reader("oldest")
    assert sorted(names(await take(reader, 2 * COUNT))) == sorted(_names("early") + _names("late"))
    taking = asyncio.create_task(_take_until(reader, _names("after"))) if waits else None
    async with asyncio.timeout(WAIT_SECONDS):
        while waits and out.tail.place is None:
            await asyncio.sleep(0.01)
    await _change(out, three_masters)
    await out.post("after", COUNT)
    gap, *lines = await (taking or _take_until(reader, _names("after")))
    assert gap["gap"]["transactions"] is None
    came = Counter(names(lines))
    assert {name: came[name] for name in _names("after")} == dict.fromkeys(_names("after"), 1)
    assert came.keys() <= {*_names("late"), *_names("after")}
    await out.post("more", 1)
    [more] = await take(reader, 1)
    assert more["signature"] == "more-0"
    assert parse_cursor(more["cursor"], "after").place(await out.accepted.find("now"))


async def test_a_cursor_from_before_is_of_another_store(out: Out, three_masters: StoreServer) -> None:
    await out.post("before", 1)
    [line] = await take(await out.reader("oldest"), 1)
    await _change(out, three_masters)
    with pytest.raises(UnknownCursor):
        parse_cursor(line["cursor"], "after").place(await out.accepted.find("now"))
