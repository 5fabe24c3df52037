"""A retention that is made longer holds for what is stored already, unless it was due before."""

from app.models import MapName, Reason
from tests.support.deliver import Gate, transaction
from tests.support.handed import Reader, missed_in, names_in
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks
from tests.support.truth import Truth, assert_balanced, count_entries

NAMES = [f"name-{number}" for number in range(60)]
SECONDS, LONGER_SECONDS = 120, 600
KINDS = ("transaction", "observation")


async def _keep(gate: Gate, seconds: int) -> None:
    changes = {f"{kind}_retention_seconds": seconds for kind in KINDS}
    gate.live.replace(gate.live.settings.model_copy(update=changes), gate.live.version + 1)
    await gate.maps.sizes()  # puts it in force


async def _accept(gate: Gate) -> None:
    await gate.flusher.flush([transaction(name) for name in NAMES])


async def test_what_is_stored_stays_as_long_as_the_longer_retention_says(
    clocks: Clocks, store: StoreServer, gate: Gate
) -> None:
    clock, reader = clocks(store, gate), Reader(gate)
    await _accept(gate)
    clock.move(SECONDS - 10)
    await _keep(gate, LONGER_SECONDS)
    clock.move(LONGER_SECONDS - SECONDS)
    sizes = await gate.maps.sizes()
    assert_balanced(sizes, count_entries(store))
    assert sizes[MapName.TRANSACTIONS].entries == sizes[MapName.OBSERVATIONS].entries == len(NAMES)
    assert sizes[MapName.SIGNATURES].removed[Reason.EXPIRED] == len(NAMES), "a window is never longer"
    leases = await reader.lease()
    assert (sorted(names_in(leases)), set(missed_in(leases))) == (sorted(NAMES), {0})
    clock.move(SECONDS)
    sizes = await gate.maps.sizes()
    assert sizes[MapName.TRANSACTIONS].entries == sizes[MapName.OBSERVATIONS].entries == 0
    assert sizes[MapName.TRANSACTIONS].removed[Reason.EXPIRED] == len(NAMES)


async def test_what_was_due_by_the_shorter_one_leaves(clocks: Clocks, store: StoreServer, gate: Gate) -> None:
    clock = clocks(store, gate)
    await _accept(gate)
    clock.move(SECONDS + 10)
    await _keep(gate, LONGER_SECONDS)
    assert count_entries(store) == Truth()


async def test_without_any_gate_the_store_keeps_it_as_long(store: StoreServer, gate: Gate) -> None:
    await _accept(gate)
    before = _expiries(store)
    await _keep(gate, LONGER_SECONDS)
    after = _expiries(store)
    assert after.keys() == before.keys()
    longer = {key for key in after if after[key] - before[key] > 1000 * (LONGER_SECONDS - SECONDS - 10)}
    assert longer == {key for key in after if b":signatures:" not in key}


def _expiries(store: StoreServer) -> dict[bytes, int]:
    """When the keys of buckets expire, milliseconds since the epoch."""
    found = {}
    for node in store.nodes():
        with node:
            for kind in ("signatures", "transactions", "observations", "blocks"):
                for key in node.scan_iter(match=f"*:2:{kind}:1*"):
                    found[key] = int(node.pexpiretime(key))
    return found
