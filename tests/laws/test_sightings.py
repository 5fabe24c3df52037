"""Who delivered what is noted a stretch of a block at a time, and is as if each were noted by itself."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from app.ingest.lookup import Lookup
from app.models import MapName, Reason, Verdict
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.ledger import read_ledger, write_ledger
from tests.support.servers import StoreServer
from tests.support.truth import assert_balanced, count_entries

FEEDS = ("helius-a", "quicknode", "rpc:1", "grpc.d")
# Neither fits in stretches of 32: the ends of blocks and stretches do not meet.
SIGNATURES = [f"signature-{number}" for number in range(150)]


async def _deliver(gate: Gate, signatures: Sequence[str], source: str) -> list[str]:
    """Deliver these in one flush; those accepted."""
    answers = await gate.flusher.flush([transaction(signature, source) for signature in signatures])
    verdicts = zip(signatures, answers, strict=True)
    return [signature for signature, answer in verdicts if answer.verdict is Verdict.ACCEPTED]


async def _sources(gate: Gate, signature: str) -> list[str]:
    found = await Lookup(gate.maps).find(signature)
    assert found is not None
    return [sighting.source for sighting in found.observations]


async def _observations(gate: Gate, store: StoreServer) -> tuple[int, int]:
    """Entries of the map, which are those in the store, and what left it for capacity."""
    sizes = await gate.maps.sizes()
    assert_balanced(sizes, count_entries(store))
    return sizes[MapName.OBSERVATIONS].entries, sizes[MapName.OBSERVATIONS].removed[Reason.CAPACITY]


@pytest.mark.parametrize("most", [2, 64])
@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_delivered_in_whatever_order_each_source_is_noted_once_up_to_the_limit(
    store: StoreServer, settings_for: MakeSettings, seed: int, most: int
) -> None:
    chance = random.Random(seed)
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60, max_sources=most))
    noted: dict[str, list[str]] = defaultdict(list)
    over = 0
    for _ in range(40):
        source, start = chance.choice(FEEDS), chance.randrange(len(SIGNATURES))
        some = SIGNATURES[start : start + chance.choice([1, 5, 32, 33, 64, 150])]
        if chance.random() < 0.4:
            some = chance.sample(some, chance.randint(1, len(some)))
        accepted = await _deliver(gate, some, source)
        assert sorted(accepted) == sorted(set(some) - noted.keys())
        for signature in some:
            sources = noted[signature]
            if source not in sources and len(sources) < most:
                sources.append(source)
            elif source not in sources:
                over += 1
    for signature, sources in noted.items():
        found = await _sources(gate, signature)
        assert (found[0], sorted(found)) == (sources[0], sorted(sources))
    assert await _observations(gate, store) == (sum(map(len, noted.values())), over)
    await gate.session.close()


async def test_a_batch_delivered_again_by_the_same_feeds_adds_nothing(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60))
    for again in (False, True):
        for feed in FEEDS:
            accepted = await _deliver(gate, SIGNATURES, feed)
            assert accepted == (SIGNATURES if feed == FEEDS[0] and not again else [])
    assert await _observations(gate, store) == (len(FEEDS) * len(SIGNATURES), 0)
    await gate.session.close()


async def test_the_limit_on_sources_holds_for_each_signature_of_a_stretch_by_itself(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60, max_sources=3))
    halves = {"b": SIGNATURES[::2], "c": SIGNATURES[1::2]}
    await _deliver(gate, SIGNATURES, "a")
    for source in ("b", "c"):
        await _deliver(gate, halves[source], source)
    for source in ("d", "e"):
        await _deliver(gate, SIGNATURES, source)
    for at, signature in enumerate(SIGNATURES):
        assert await _sources(gate, signature) == ["a", "c" if at % 2 else "b", "d"]
    count = len(SIGNATURES)
    assert await _observations(gate, store) == (3 * count, count)
    await gate.session.close()


async def test_the_delivery_that_was_accepted_is_kept_before_others_of_its_flush(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    gate = await connected_gate(settings_for(store, dedup_window_seconds=60, max_sources=1))
    both = SIGNATURES[:2]
    items = [transaction(signature, source) for source in "ab" for signature in both]
    await gate.flusher.flush([items[0], items[3], items[2], items[1]])
    assert [await _sources(gate, signature) for signature in both] == [["a"], ["b"]]
    assert await _observations(gate, store) == (2, 2)
    await gate.session.close()


async def test_a_block_that_takes_the_number_of_an_earlier_one_takes_none_of_its_sightings(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """Numbers begin anew when a store has lost its transactions, and sightings may live longer than those."""
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60))
    await _deliver(gate, SIGNATURES, "helius-a")
    await _deliver(gate, SIGNATURES, "quicknode")
    await asyncio.sleep(0.002)
    [node] = valkey.nodes()
    with node:
        ledger = read_ledger(node)
        ledger.next_block_as_last()
        write_ledger(node, ledger)
    others = [f"other-{signature}" for signature in SIGNATURES]
    await _deliver(gate, others, "helius-a")
    await asyncio.sleep(0.002)
    await _deliver(gate, others, "rpc:1")
    for signature in others:
        assert await _sources(gate, signature) == ["helius-a", "rpc:1"]
    assert await _observations(gate, valkey) == (4 * len(SIGNATURES), 0)
    await gate.session.close()


async def test_a_map_that_holds_a_single_transaction_numbers_its_blocks_on(
    valkey: StoreServer, settings_for: MakeSettings
) -> None:
    """Each takes the room of the one before, most of them within its millisecond."""
    gate = await connected_gate(settings_for(valkey, dedup_window_seconds=60, transactions_limit=1))
    for first, second in zip(SIGNATURES[::2], SIGNATURES[1::2], strict=True):
        await _deliver(gate, [first], "helius-a")
        await _deliver(gate, [second], "quicknode")
        assert await _sources(gate, second) == ["quicknode"]
    await gate.session.close()
