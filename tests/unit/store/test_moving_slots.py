"""A slot that is moved from one node of a Cluster to another, key by key, while the gate uses it."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import count, islice
from typing import Any

import pytest

from app.models import MapName
from app.settings.model import Settings
from app.store import awaited_slots
from app.store import cluster as cluster_module
from app.store.awaited_slots import AwaitedSlots
from app.store.partitions import (
    EARLIER_PARTITIONS,
    key_slot,
    ledger_key,
    partition_prefixes,
    signature_hash,
)
from app.store.store_errors import StoreSlotMoving
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.handed import Reader, deliver, names_in
from tests.support.processes import wait_until
from tests.support.servers import StoreServer, cluster_server
from tests.support.slot_moves import Ends, ends_of, used_slots
from tests.support.truth import assert_balanced, count_entries

pytestmark = pytest.mark.server

KINDS = ("valkey", "redis")
LONG: dict[str, Any] = {
    "store_deadline_seconds": 30,
    "dedup_window_seconds": 600,
    "transaction_retention_seconds": 3600,
    "emergency_transaction_retention_seconds": 3600,
}
PATIENCE_SECONDS = 60.0


@pytest.fixture(params=KINDS)
def cluster(request: pytest.FixtureRequest) -> Iterator[StoreServer]:
    with cluster_server(kind=request.param) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each call to a slot that is moved is sent once, and not again."""
    monkeypatch.setattr(cluster_module, "AwaitedSlots", lambda _: AwaitedSlots(deadline_seconds=0))
    monkeypatch.setattr(awaited_slots, "REFUSED_SECONDS", 0)


async def _gate(server: StoreServer, **settings: float) -> Gate:
    return await connected_gate(Settings(store_url=server.url, **LONG | settings))


async def _flush(gate: Gate, *names: str) -> list[str]:
    return [str(answer.verdict) for answer in await gate.flusher.flush([transaction(name) for name in names])]


async def _is_refused(gate: Gate, name: str) -> bool:
    """Claim it: whether it is refused since its slot is moved, or else accepted."""
    try:
        assert await _flush(gate, name) == ["accepted"]
    except StoreSlotMoving:
        assert gate.session.is_up
        return True
    return False


def _names(gate: Gate, slot: int, *, are_there: bool = True) -> Iterator[str]:
    """Yield signatures whose partition is in a slot, or is not."""
    for number in count():
        name = f"signature-{number}"
        prefix = gate.maps.partition_of(signature_hash(name))
        if (key_slot(prefix.encode()) == slot) is are_there:
            yield name


def _times_asked(ends: Ends) -> int:
    """How many calls the old master has answered with ASK."""
    return int(ends.old.info("errorstats").get("errorstat_ASK", {}).get("count", 0))


async def test_a_claim_waits_for_a_slot_that_is_moved_and_is_carried_out_where_it_arrives(
    cluster: StoreServer,
) -> None:
    gate = await _gate(cluster)
    slot = used_slots(cluster)[0]
    known, *others = islice(_names(gate, slot), 20)
    await _flush(gate, known)
    with ends_of(cluster, slot) as ends:
        ends.open_both()
        ends.migrate_all()
        moved = ends.new.cluster("countkeysinslot", slot)
        flush = asyncio.create_task(_flush(gate, known, *others))
        assert await asyncio.to_thread(wait_until, lambda: _times_asked(ends) > 1, PATIENCE_SECONDS)
        assert not flush.done()
        assert ends.new.cluster("countkeysinslot", slot) == moved, "nothing was made where it is not yet"
        ends.close_both()
        assert await flush == ["duplicate"] + ["accepted"] * len(others)
    await gate.session.close()


@pytest.mark.usefixtures("impatient")
async def test_whichever_key_of_a_slot_has_moved_no_claim_goes_wrong_and_other_slots_serve_on(
    cluster: StoreServer,
) -> None:
    gate = await _gate(cluster)
    slot = used_slots(cluster)[0]
    names, elsewhere = _names(gate, slot), _names(gate, slot, are_there=False)
    known = [next(names)]
    await _flush(gate, *known, *islice(elsewhere, 20))
    refused: list[str] = []
    with ends_of(cluster, slot) as ends:
        for key in ends.keys_left():
            ends.open_both()
            ends.migrate(key)
            assert await _flush(gate, *islice(elsewhere, 20)) == ["accepted"] * 20
            name = next(names)
            (refused if await _is_refused(gate, name) else known).append(name)
            ends.bring_back(key)
        ends.open_both()
        ends.migrate_all()
        ends.close_both()
    assert len(refused) >= len({"ledger", "signatures", "transactions", "blocks", "observations"})
    assert await _flush(gate, *known, *refused) == ["duplicate"] * len(known) + ["accepted"] * len(refused)
    for name in known + refused:
        assert await gate.maps.lookup(signature_hash(name)) is not None
    assert_balanced(await gate.maps.sizes(), count_entries(cluster))
    await gate.session.close()


@pytest.mark.usefixtures("impatient")
async def test_a_claim_that_needs_a_new_bucket_where_the_slot_leaves_writes_nothing_of_it(
    cluster: StoreServer,
) -> None:
    """Else its transactions would be there when it is made again, and would not be counted."""
    gate = await _gate(cluster, dedup_window_seconds=0.1)
    slot = used_slots(cluster)[0]
    names = _names(gate, slot)
    with ends_of(cluster, slot) as ends:
        await _flush(gate, next(names))
        ends.open_both()
        name = next(names)
        while not await _is_refused(gate, name):  # the bucket of signatures takes entries for 20 ms
            name = next(names)
        ends.migrate_all()
        ends.close_both()
    assert await _flush(gate, name) == ["accepted"]
    counted = (await gate.maps.sizes())[MapName.TRANSACTIONS].entries
    assert counted == count_entries(cluster).transactions
    await gate.session.close()


@pytest.mark.usefixtures("impatient")
async def test_leases_that_are_refused_where_the_slot_leaves_take_nothing_from_the_consumer(
    cluster: StoreServer,
) -> None:
    """Else each that is made again would be a lease that nobody knows of, and would have to run out."""
    gate = await _gate(cluster)
    slot = used_slots(cluster)[0]
    names = _names(gate, slot)
    await deliver(gate, [next(names)])
    reader = Reader(gate)
    assert len(await reader.drain()) == 1
    with ends_of(cluster, slot) as ends:
        wanted = list(islice(names, 20))
        await deliver(gate, wanted)
        ends.open_both()
        for _ in range(5):
            with suppress(StoreSlotMoving):
                assert names_in(await reader.lease()) == []
        ends.migrate_all()
        ends.close_both()
    assert await reader.drain() == wanted
    await gate.session.close()


@pytest.mark.usefixtures("impatient")
async def test_the_figures_of_a_slot_that_is_moved_stay_and_the_others_are_read(cluster: StoreServer) -> None:
    gate = await _gate(cluster)
    slot = used_slots(cluster)[0]
    await _flush(gate, *islice(_names(gate, slot), 5))
    before = await gate.maps.sizes()
    with ends_of(cluster, slot) as ends:
        ends.open_both()
        ends.migrate_all()
        await _flush(gate, *islice(_names(gate, slot, are_there=False), 20))
        while_moved = await gate.maps.sizes()
        assert while_moved[MapName.SIGNATURES].added == before[MapName.SIGNATURES].added + 20
        assert {fall.entries for fall in gate.maps.falls.values()} == {0}
        starting = await _gate(cluster)
        assert (await starting.maps.sizes())[MapName.SIGNATURES].added == 20
        await starting.session.close()
        ends.close_both()
    assert (await gate.maps.sizes())[MapName.SIGNATURES].entries == 25
    await gate.session.close()


@pytest.mark.usefixtures("impatient")
async def test_a_gate_joins_six_partitions_of_which_one_is_moved(cluster: StoreServer) -> None:
    first, *_ = partition_prefixes("tidegate", EARLIER_PARTITIONS)
    with cluster.client() as client:
        client.set(ledger_key(first), "as a gate that knows of six only has begun it", ex=600)
    gate = await _gate(cluster)
    assert gate.session.partitions == EARLIER_PARTITIONS
    with ends_of(cluster, key_slot(first.encode())) as ends:
        ends.open_both()
        ends.migrate_all()
        starting = await _gate(cluster)
        assert starting.session.partitions == EARLIER_PARTITIONS
        assert (
            await _flush(starting, *islice(_names(gate, ends.slot, are_there=False), 20)) == ["accepted"] * 20
        )
        await starting.session.close()
        ends.close_both()
    await gate.session.close()


async def test_a_slot_that_is_moved_for_long_is_named_at_once_and_serves_again_when_it_has_arrived(
    cluster: StoreServer,
) -> None:
    gate = await _gate(cluster, store_deadline_seconds=1)
    slot = used_slots(cluster)[0]
    names = _names(gate, slot)
    await _flush(gate, next(names))
    with ends_of(cluster, slot) as ends:
        ends.open_both()
        ends.migrate_all()
        assert await _is_refused(gate, next(names))
        before = _times_asked(ends)
        outcomes = await asyncio.gather(
            *(_flush(gate, name) for name in islice(names, 50)), return_exceptions=True
        )
        assert {type(outcome) for outcome in outcomes} == {StoreSlotMoving}
        assert _times_asked(ends) < before + 50, "not all of them were sent"
        ends.close_both()
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await _is_refused(gate, next(names)):
            await asyncio.sleep(0.01)
    await gate.session.close()
