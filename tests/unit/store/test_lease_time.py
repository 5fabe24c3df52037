"""A lease ends when it was said to, whether it has what is new, what another had, or the rest of that."""

from tests.support.deliver import Gate, transaction
from tests.support.handed import Reader, names_in
from tests.support.servers import StoreServer
from tests.support.store_clock import Clocks

NAMES = [f"name-{number}" for number in range(4)]
# The calls of the test may take as long as is left of a lease when it is looked at first.
LEASE_SECONDS, EARLY_SECONDS = 200, 100


async def test_a_lease_ends_when_it_was_said_to_however_it_was_handed_out(
    clocks: Clocks, valkey: StoreServer, single: Gate
) -> None:
    clock = clocks(valkey, single)
    await single.flusher.flush([transaction(name) for name in NAMES])
    reader = Reader(single)
    await reader.lease(2, lease_ms=1)
    clock.move(1)
    held = [names_in(await reader.lease(1, lease_ms=LEASE_SECONDS * 1000)) for _ in NAMES]
    assert held == [[name] for name in NAMES], "one again, its rest, and two that are new"
    clock.move(LEASE_SECONDS - EARLY_SECONDS)
    assert names_in(await reader.lease()) == []
    clock.move(EARLY_SECONDS)
    assert [names_in(await reader.lease(1)) for _ in NAMES] == held
