"""Law 5: every map has a limit, and at the limit does what the settings' page says."""

import asyncio
from random import Random

import pytest

from app.cleanup.run import Cleanup
from app.errors import StoreFull
from app.metrics.catalogue import Metrics
from app.models import MapName, Reason, Trigger, Verdict
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.servers import StoreServer, valkey_server
from tests.support.truth import assert_balanced, count_entries

LONG_WINDOW = {"dedup_window_seconds": 60}


async def _deliver(gate: Gate, first: int, count: int, payload: object = None) -> list[Verdict]:
    items = [transaction(f"signature-{number}", payload=payload) for number in range(first, first + count)]
    return [answer.verdict for answer in await gate.flusher.flush(items)]


async def test_signatures_are_accepted_up_to_their_limit_and_the_next_one_is_refused(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, signatures_limit=100, **LONG_WINDOW))
    assert await _deliver(gate, 0, 99) == [Verdict.ACCEPTED] * 99
    assert await _deliver(gate, 99, 3) == [Verdict.ACCEPTED, Verdict.REFUSED, Verdict.REFUSED]
    assert await _deliver(gate, 0, 100) == [Verdict.DUPLICATE] * 100, "what was accepted is still known"
    sizes = await gate.maps.sizes()
    assert sizes[MapName.SIGNATURES].entries == 100
    assert sizes[MapName.SIGNATURES].removed[Reason.CAPACITY] == 0
    assert_balanced(sizes, count_entries(valkey))
    await gate.session.close()


@pytest.mark.parametrize("limited", [MapName.TRANSACTIONS, MapName.OBSERVATIONS])
async def test_at_the_limit_of_entries_the_oldest_bucket_goes(
    store: StoreServer, settings_for: MakeSettings, limited: MapName
) -> None:
    limit = 600
    gate = await connected_gate(settings_for(store, **{f"{limited}_limit": limit}, **LONG_WINDOW))
    for first in range(0, 3000, 60):
        await _deliver(gate, first, 60)
        sizes = await gate.maps.sizes()
        assert sizes[limited].entries <= limit
        assert_balanced(sizes, count_entries(store))
    assert sizes[limited].added == 3000
    assert sizes[limited].removed[Reason.CAPACITY] == 3000 - sizes[limited].entries
    assert sizes[limited].entries > limit / 2, "only what is needed goes"
    assert await gate.flusher.flush([transaction("signature-2999")])
    await gate.session.close()


async def test_at_the_limit_of_bytes_the_oldest_transactions_go(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    limit = 2 * 1024 * 1024
    gate = await connected_gate(settings_for(valkey, transactions_limit_bytes=limit, **LONG_WINDOW))
    noise = Random(5)
    for number in range(40):
        await _deliver(gate, number, 1, noise.randbytes(100_000).hex())
        sizes = await gate.maps.sizes()
        assert sizes[MapName.TRANSACTIONS].bytes <= limit
    assert sizes[MapName.TRANSACTIONS].removed[Reason.CAPACITY] > 0
    assert sizes[MapName.TRANSACTIONS].bytes > limit / 2, "only what is needed goes"
    assert_balanced(sizes, count_entries(valkey))
    await gate.session.close()


async def test_a_source_past_the_limit_of_one_transaction_is_counted_as_added_and_removed(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, max_sources=3, **LONG_WINDOW))
    for number in range(5):
        await gate.flusher.flush([transaction("one", source=f"feed-{number}")])
    sizes = await gate.maps.sizes()
    assert sizes[MapName.OBSERVATIONS].entries == 3
    assert sizes[MapName.OBSERVATIONS].removed[Reason.CAPACITY] == 2
    assert_balanced(sizes, count_entries(valkey))
    await gate.session.close()


async def _fill(gate: Gate) -> None:
    for number in range(1000):
        await _deliver(gate, number, 1, Random(number).randbytes(100_000).hex())


async def test_a_store_filled_by_us_empties_itself_and_accepts_again(settings_for: MakeSettings) -> None:
    brief = {f"{kind}_retention_seconds": 1 for kind in ("transaction", "observation")}
    cut = {f"emergency_{kind}_retention_seconds": 0.5 for kind in ("transaction", "observation")}
    with valkey_server(maxmemory="8mb") as server:
        settings = settings_for(server, dedup_window_seconds=0.2, **brief, **cut)
        gate = await connected_gate(settings)
        cleanup = Cleanup(gate.maps, Metrics(64, "test"), lambda: 0, None)
        with pytest.raises(StoreFull):
            await _fill(gate)
        await cleanup.run(Trigger.PERIODIC)
        async with asyncio.timeout(30):
            while (await gate.maps.sizes())[MapName.TRANSACTIONS].entries:
                await asyncio.sleep(0.01)
        assert await _deliver(gate, 5000, 1) == [Verdict.ACCEPTED]
        assert_balanced(await gate.maps.sizes(), count_entries(server))
        await gate.session.close()
