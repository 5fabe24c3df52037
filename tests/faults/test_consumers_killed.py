"""Law 9 through `kill -9` of gates and callers and broken connections to the store: all is handed on."""

import asyncio

import pytest

from tests.support.consuming import Consumer, Fate
from tests.support.gate import gate_process
from tests.support.handed_on import CALLERS, CONSUMERS, LASTING, Plan, hand_on
from tests.support.load import transaction
from tests.support.servers import StoreServer
from tests.support.wire import connected

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

TRANSACTIONS, PATIENCE_SECONDS = 4800, 120.0
LEASE_ITEMS = 80  # so few that each fate befalls some callers
CALM_BATCHES, CALM_ITEMS = 40, 25


async def test_through_kills_and_broken_connections_each_consumer_gets_all_and_none_after_its_commit(
    breakable: StoreServer,
) -> None:
    breakable.flush()
    async with asyncio.timeout(PATIENCE_SECONDS):
        outcome = await hand_on(breakable, Plan(TRANSACTIONS, lease_items=LEASE_ITEMS, seed=19))
    assert list(outcome.failures()) == []
    assert (outcome.happened["kills"], outcome.happened["cuts"]) == (4, 3)
    assert outcome.told_to_nobody, "no fault met a claim under way"
    for consumer in outcome.consumers:
        assert {fate for fate in Fate if not consumer.happened[f"callers {fate}"]} == set()
        assert consumer.happened["leases lost to another caller"]
        assert consumer.happened["leases without an answer"], "no fault met a lease under way"
        assert consumer.handed.total() > len(consumer.handed), "no lease was handed out again"


async def test_while_nothing_fails_each_of_two_consumers_is_handed_everything_exactly_once(
    breakable: StoreServer,
) -> None:
    breakable.flush()
    consumers = [Consumer(name) for name in CONSUMERS]
    with gate_process(store_url=breakable.url, **LASTING) as gate:
        async with (
            asyncio.timeout(PATIENCE_SECONDS),
            consumers[0].running([gate.url], CALLERS),
            consumers[1].running([gate.url], CALLERS),
            connected(gate.url, 1) as [connection],
        ):
            for batch in range(CALM_BATCHES):
                items = [transaction(f"calm-{batch}-{at}") for at in range(CALM_ITEMS)]
                assert (await connection.post(items)).status == 200
            await asyncio.gather(*(consumer.drained() for consumer in consumers))
    for consumer in consumers:
        assert len(consumer.handed) == CALM_BATCHES * CALM_ITEMS
        assert set(consumer.handed.values()) == {1}
        assert consumer.committed.keys() == consumer.handed.keys()
