"""What bodies hold while they wait for their turns: what is wrong with their items is the most of it."""

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakSet

import pytest

from app.decode.arrays import KEPT_BYTES
from app.decode.event_loop_turns import ITEMS_A_TURN
from app.decode.item import InvalidItem, ItemLimits, ItemResult, try_decode_item
from app.runtime import Runtime
from tests.conftest import MakeSettings
from tests.support.gate import api_client, running
from tests.support.servers import StoreServer


@pytest.fixture
async def runtime(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[Runtime]:
    async with running(settings_for(valkey)) as started:
        yield started


class Wrong(InvalidItem):
    """What is wrong with an item, of which it can be told whether it is still held."""


class Held:
    """Counts what is wrong with items as long as it is held."""

    def __init__(self) -> None:
        self._living = WeakSet[Wrong]()
        self.most = 0

    def decode(self, item: bytes | memoryview | int, limits: ItemLimits) -> ItemResult:
        result = Wrong(str(try_decode_item(item, limits)))
        self._living.add(result)
        self.most = max(self.most, len(self._living))
        return result


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    counted = Held()
    monkeypatch.setattr("app.decode.arrays.try_decode_item", counted.decode)
    return counted


async def test_what_is_wrong_with_lines_is_listed_before_the_next_lines_are_decoded(
    runtime: Runtime, held: Held
) -> None:
    """Of 20 bodies whose lines are all wrong, the lines of some turns are held, not those of one of each."""
    headers = {"Content-Type": "application/x-ndjson"}
    async with api_client(runtime) as client:
        posts = (client.post("/transactions", content=b"12\n" * 2_000, headers=headers) for _ in range(20))
        answers = await asyncio.gather(*posts)
    assert [answer.json()["invalid"] for answer in answers] == [2_000] * 20
    assert held.most < 6 * ITEMS_A_TURN


async def test_what_arrays_take_that_are_decoded_item_by_item_is_in_the_budget(
    runtime: Runtime, held: Held
) -> None:
    """Each is of 15 KB, and 1.6 MB when it is decoded, for which 4 MB have room twice."""
    budget = runtime.plane.body_budget
    budget.most = 4_000_000
    async with api_client(runtime) as client:
        posts = (client.post("/transactions", json=[12] * 5_000) for _ in range(12))
        answers = await asyncio.gather(*posts)
    assert {answer.json()["type"].split(":")[-1] for answer in answers} == {"invalid", "overloaded"}
    assert (held.most <= budget.most // KEPT_BYTES, budget.held) == (True, 0)
