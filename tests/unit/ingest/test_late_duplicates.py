"""What of the sample is looked up for late duplicates, and what it then counts for."""

import asyncio

import pytest

from app.errors import StoreUnreachable
from app.ingest.late_duplicates import LateDuplicates
from app.ingest.sampled_transactions import MOST_FRESH, Fresh
from app.ingest.source_statistics import SourceStatistics
from app.models import ACCEPTED, SampledTransaction
from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.deliver import connected_gate, transaction
from tests.support.servers import StoreServer


def sample(number: int, late_ms: int | None = None) -> SampledTransaction:
    """A sample of this number, as its hash."""
    return SampledTransaction(number.to_bytes(16), "a", 1_000, late_ms)


class Queries:
    """A store that finds every second one late, or nothing when it is down."""

    def __init__(self) -> None:
        self.asked: list[list[SampledTransaction]] = []
        self.is_up = True

    async def late(self, samples: list[SampledTransaction]) -> list[SampledTransaction]:
        """Note what is asked for, and answer."""
        if not self.is_up:
            raise StoreUnreachable("down")
        self.asked.append(samples)
        return [one._replace(late_ms=60_000 if one.digest[-1] % 2 else None) for one in samples]


def late_duplicates() -> tuple[LateDuplicates, Queries, SourceStatistics]:
    """The look, the store that it asks, and what it counts in."""
    queries, counted = Queries(), SourceStatistics(str, lambda: 5.0)
    counted.note({("a", ACCEPTED): 100_000}, 1_000)
    return LateDuplicates(Settings, queries, counted), queries, counted  # type: ignore[arg-type]


def late_of(counted: SourceStatistics) -> tuple[int, float] | None:
    """How many were late, and which share."""
    [view] = counted.view().sources
    return (view.late.count, view.late.share) if view.late else None


async def test_all_since_the_last_tick_are_asked_for_once_except_what_the_claim_told() -> None:
    looking, queries, counted = late_duplicates()
    counted.fresh.add([sample(1), sample(2)])
    counted.fresh.add([sample(3), sample(4, late_ms=200)])
    for _ in range(2):
        await looking.tick()
    assert queries.asked == [[sample(1), sample(2), sample(3)]]
    assert late_of(counted) == (3 * 16, 3 / 4)
    assert bool(counted.waiting), "the fourth may be asked who delivered it"


async def test_of_too_many_each_one_asked_for_stands_for_several() -> None:
    looking, queries, counted = late_duplicates()
    counted.fresh.add(sample(number) for number in range(4 * MOST_FRESH))
    await looking.tick()
    [asked] = queries.asked
    assert len({one.digest for one in asked}) == MOST_FRESH
    found = sum(one.digest[-1] % 2 for one in asked)
    assert late_of(counted) == (found * 4 * 16, found / MOST_FRESH)


async def test_what_the_store_cannot_say_counts_for_nothing() -> None:
    looking, queries, counted = late_duplicates()
    counted.fresh.add([sample(1)])
    queries.is_up = False
    with pytest.raises(StoreUnreachable):
        await looking.tick()
    queries.is_up = True
    await looking.tick()
    assert queries.asked == []
    counted.fresh.add([sample(2), sample(3)])
    await looking.tick()
    assert late_of(counted) == (16, 1 / 2)


def test_each_is_kept_with_the_same_chance() -> None:
    fresh, kept = Fresh(), [0, 0]
    for _ in range(20):
        fresh.add(sample(number) for number in range(2 * MOST_FRESH))
        samples, times = fresh.take()
        assert times == 2
        for one in samples:
            kept[int.from_bytes(one.digest) >= MOST_FRESH] += 1
    assert kept[0] == pytest.approx(kept[1], rel=0.15)


async def test_what_one_gate_accepted_is_late_at_another(
    store: StoreServer, settings_for: MakeSettings
) -> None:
    settings = settings_for(
        store,
        late_sample=1,
        dedup_window_seconds=0.5,
        transaction_retention_seconds=8,
        emergency_transaction_retention_seconds=8,
    )
    one, two = [await connected_gate(settings) for _ in range(2)]
    signatures = [f"signature-{number}" for number in range(20)]
    await one.flusher.flush([transaction(signature, "a") for signature in signatures])
    await asyncio.sleep(0.7)
    await two.flusher.flush([transaction(signature, "b") for signature in signatures[:5]])
    for gate in (one, two):
        await gate.late.tick()
        await gate.session.close()
    [first], [replay] = one.sources.view().sources, two.sources.view().sources
    assert (first.late, first.accepted) == (None, 20)
    assert replay.late is not None
    assert (replay.late.count, replay.late.share) == (5, 1)
