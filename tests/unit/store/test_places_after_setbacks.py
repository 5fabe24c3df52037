"""A failover sets a store back to where its replica was: nobody skips what is accepted from then on."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

import pytest

from app.store.positions import Positions
from app.store.read_accepted import positions_after
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.handed import IDLE_MS, MEBIBYTE, Reader, missed_in, names_in, signatures_of
from tests.support.ledger import read_ledger, store_key, write_ledger
from tests.support.servers import StoreServer

PREFIX = "tidegate:{0}"
LONG_WINDOW = {"dedup_window_seconds": 60}
MANY_BUCKETS = {"transactions_limit": 64, "observations_limit": 64} | LONG_WINDOW
"""With these a bucket takes one transaction or block, so that most places are at the edge of one."""
KEPT, LOST = ("ab", "c", "de"), ("fg", "h", "ij")
"""Blocks of transactions that are named by letters."""


class SetBack(NamedTuple):
    """A gate whose store was set back, and goes on."""

    gate: Gate
    places: list[Positions]
    """The place before each of KEPT and LOST, and behind the last, as it was before."""
    names: str
    """What the store has accepted now, in order."""


async def _flush(gate: Gate, blocks: Sequence[str]) -> None:
    for block in blocks:
        await gate.flusher.flush([transaction(name) for name in block])
        await asyncio.sleep(0.002)  # what came after a failover did so in a later millisecond


async def _places(gate: Gate) -> list[Positions]:
    places = [await gate.accepted.find("oldest")]
    while places[-1].ordinals != (await gate.accepted.find("now")).ordinals:
        places.append(positions_after(await gate.accepted.read(places[-1], 1, MEBIBYTE)))
    return places


async def _set_back(store: StoreServer, gate: Gate, new: Sequence[str]) -> SetBack:
    """Accept KEPT and LOST, set the ledger back to KEPT, and accept others."""
    await _flush(gate, KEPT)
    with store.nodes()[0] as node:
        ledger = read_ledger(node)
        await _flush(gate, LOST)
        places = await _places(gate)
        write_ledger(node, ledger)
    await _flush(gate, new)
    return SetBack(gate, places, "".join([*KEPT, *new]))


async def _read(gate: Gate, place: Positions) -> tuple[str, list[int | None]]:
    """Read from a place to the end; what was read, and what each reading missed."""
    names, missed = "", list[int | None]()
    while True:
        [extract] = await gate.accepted.read(place, 3, MEBIBYTE)
        names += "".join(signatures_of(extract))
        missed.append(extract.missed)
        place = positions_after([extract])
        if extract.end == extract.added:
            return names, missed


NEW = [(), ("k",), ("kl", "m"), ("k", "lm", "n", "o"), ("klmno",), ("k", "l", "mnopqrs")]


@pytest.mark.parametrize("settings", [LONG_WINDOW, MANY_BUCKETS])
@pytest.mark.parametrize("new", NEW)
async def test_from_every_place_a_reader_gets_what_is_new(
    valkey: StoreServer, settings_for: MakeSettings, settings: dict[str, float], new: tuple[str, ...]
) -> None:
    """Where a place means something else now, all that is kept is read, and a gap of unknown size is told."""
    gate = await connected_gate(settings_for(valkey, **settings))
    after = await _set_back(valkey, gate, new)
    assert len(after.places) == 11
    for ordinal, place in enumerate(after.places):
        names, missed = await _read(gate, place)
        assert set(missed[1:]) <= {0}
        if ordinal <= 5:
            assert (names, missed[0]) == (after.names[ordinal:], 0)
        else:
            assert (names, missed[0]) == (after.names, None)
    await gate.session.close()


@pytest.mark.parametrize("new", NEW)
async def test_moved_to_a_place_from_before_a_consumer_gets_what_is_new(
    valkey: StoreServer, single: Gate, new: tuple[str, ...]
) -> None:
    after = await _set_back(valkey, single, new)
    reader = Reader(single)
    await reader.drain()
    for ordinal, place in enumerate(after.places):
        await reader.consumers.seek("bot", place, IDLE_MS)
        leases = await reader.lease()
        expected = (after.names[ordinal:], [0]) if ordinal <= 5 else (after.names, [None])
        nothing = leases.parts == [None] and not expected[0]
        assert nothing or ("".join(names_in(leases)), missed_in(leases)) == expected


@pytest.mark.parametrize("new", NEW)
async def test_when_its_ledger_alone_is_set_back_a_consumer_gets_what_is_new(
    valkey: StoreServer, single: Gate, new: tuple[str, ...]
) -> None:
    """A failover sets the record of a consumer back with the ledger; who puts a ledger back may not."""
    await _flush(single, KEPT)
    reader, other = Reader(single), Reader(single, "other")
    await other.drain()
    with valkey.nodes()[0] as node:
        ledger = read_ledger(node)
        await _flush(single, LOST)
        held = await reader.lease(4)
        assert "".join(await reader.drain(3)) == "efghij"
        write_ledger(node, ledger)
    await _flush(single, new)
    names = "".join([*KEPT, *new])
    [_, figures] = await reader.consumers.figures()
    assert (figures.ordinals, figures.lag_transactions) == ((0,), len(names))
    leases = await reader.lease()
    assert ("".join(names_in(leases)), missed_in(leases)) == (names, [None])
    assert await reader.commit(held) == {"superseded"}
    assert await reader.commit(leases) == {"committed"}
    assert "".join(await other.drain()) == "".join(new)


async def test_a_place_whose_one_before_has_left_is_known_by_the_block_behind_it(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(valkey, **MANY_BUCKETS))
    before = await _set_back(valkey, gate, ("k", "l", "m", "n", "o", "p"))
    now = await _places(gate)
    with valkey.nodes()[0] as node:
        for bucket_id, _ in read_ledger(node).blocks[:-2]:
            node.delete(store_key(PREFIX, "blocks", str(bucket_id)))
    assert now[9].ordinals == before.places[9].ordinals
    assert await _read(gate, now[9]) == ("op", [0])
    assert await _read(gate, before.places[9]) == ("op", [None])
    await gate.session.close()
