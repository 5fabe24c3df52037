"""When gates of the older format count as gone: after a silence in which they could have shown themselves."""

from collections.abc import AsyncIterator

import pytest
import redis

from app.errors import StoreTimeout
from app.store.older_format import OtherGates
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate
from tests.support.format_1 import SILENT_TICKS, TICK_MS, leave_format_1, let_pass, tick
from tests.support.servers import StoreServer


@pytest.fixture
async def looking(valkey: StoreServer, settings_for: MakeSettings) -> AsyncIterator[tuple[Gate, redis.Redis]]:
    """A gate on a store that older gates left in their format, and a client of that store."""
    settings = settings_for(valkey, dedup_window_seconds=60)
    await leave_format_1(valkey, settings)
    gate = await connected_gate(settings)
    [node] = valkey.nodes()
    with node:
        yield gate, node
    await gate.session.close()


async def test_older_gates_are_not_silent_while_the_store_is_away(
    looking: tuple[Gate, redis.Redis],
) -> None:
    """Nobody could show itself meanwhile: who is back first does not take the partition over."""
    gate, node = looking
    await tick(gate, node, SILENT_TICKS - 1)
    let_pass(node, 60_000)
    assert await tick(gate, node, SILENT_TICKS) == {OtherGates.OLDER}, "the silence begins anew"
    assert await tick(gate, node) == set()


async def test_an_outage_that_a_gate_has_noticed_ends_the_silence_however_short_it_was(
    looking: tuple[Gate, redis.Redis],
) -> None:
    gate, node = looking
    await tick(gate, node, SILENT_TICKS - 1)
    gate.session.failed(StoreTimeout("as the tests have it"))
    let_pass(node, TICK_MS)
    await gate.session.probe(gate.maps.sizes)
    assert gate.session.is_up
    assert await tick(gate, node, SILENT_TICKS - 1) == {OtherGates.OLDER}
    assert await tick(gate, node) == set()


async def test_of_an_outage_that_no_gate_has_noticed_a_second_counts(
    looking: tuple[Gate, redis.Redis],
) -> None:
    gate, node = looking
    let_pass(node, 3 * TICK_MS)
    assert await tick(gate, node, SILENT_TICKS - 1) == {OtherGates.OLDER}
    assert await tick(gate, node) == set()
