"""Who delivered, who missed and who alone had a transaction of the sample."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from app.ingest.sampled_transactions import MOST_A_SECOND, MOST_SECONDS, Waiting, look_seconds
from app.ingest.source_misses import Misses
from app.ingest.source_statistics import SourceStatistics
from app.ingest.source_views import Part, SourceView
from app.models import ACCEPTED, SampledTransaction
from app.settings.model import Settings
from tests.conftest import MakeSettings
from tests.support.deliver import Gate, connected_gate, transaction
from tests.support.servers import StoreServer

MINUTE_MS = 60_000


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def sample(number: int, source: str = "a", accepted_ms: int = 1_000) -> SampledTransaction:
    """A sample of this number, as its hash."""
    return SampledTransaction(number.to_bytes(16), source, accepted_ms, None)


@dataclass
class Told:
    """Misses that is told who delivered what, without a store."""

    statistics: SourceStatistics = field(default_factory=lambda: SourceStatistics(str, lambda: 5.0))

    def __post_init__(self) -> None:
        self.misses = Misses(Settings, None, self.statistics)  # type: ignore[arg-type]  # asked for nothing

    def tell(self, at_ms: int, *deliverers: str, amount: float = 16) -> None:
        """Let sources have delivered a transaction, the first of them first."""
        counts = {(name, ACCEPTED if name == deliverers[0] else 1): round(amount) for name in deliverers}
        self.statistics.note(counts, at_ms)
        self.misses.note(sample(at_ms, deliverers[0], at_ms), set(deliverers), amount)

    @property
    def views(self) -> dict[str, SourceView]:
        """Each source by its name."""
        return {view.source: view for view in self.statistics.view().sources}


def test_the_example_of_the_module_counts_as_it_says() -> None:
    told = Told()
    told.tell(1_000, "helius", "quick", "grpc")
    told.tell(2_000, "quick")
    told.tell(3_000, "helius", "quick")
    views = told.views
    helius, quick, grpc = (views[name] for name in ("helius", "quick", "grpc"))
    assert helius.missed == Part(count=16, share=1 / 3)
    assert quick.solo == Part(count=16, share=1 / 3)
    assert quick.missed == Part(count=0, share=0)
    assert grpc.missed == Part(count=0, share=0), "not seen since: it may be switched off"


def test_nobody_alone_had_or_missed_more_than_was_delivered_so_far() -> None:
    told = Told()
    told.tell(1_000, "a", "b", amount=1)
    told.statistics.note({("a", ACCEPTED): 1}, 2_000)
    told.misses.note(sample(2, "a", 2_000), {"a"}, 16)  # it stands for 16, and is the second of all
    told.tell(3_000, "a", "b", amount=1)
    assert told.views["a"].accepted == 3
    assert told.views["a"].solo == Part(count=3, share=16 / 18)
    assert told.views["b"].missed == Part(count=3, share=16 / 18)
    assert told.views["a"].missed == told.views["b"].solo == Part(count=0, share=0)


def test_what_a_source_did_not_deliver_in_a_pause_of_more_than_a_minute_it_has_not_missed() -> None:
    told = Told()
    told.tell(0, "a", "b")
    for second in range(1, 90):
        told.tell(1_000 * second, "a")
    told.tell(90_000, "a", "b")
    told.tell(91_000, "a")
    told.tell(92_000, "a", "b")
    assert told.views["b"].missed == Part(count=16, share=1 / 4)


def test_observations_that_are_no_longer_whole_count_for_nobody() -> None:
    told = Told()
    told.misses.note(sample(1, "a"), {"b"}, 16)
    assert told.views == {}


def test_sources_past_the_limit_are_one() -> None:
    statistics = SourceStatistics(lambda name: name if name in "ab" else "other", lambda: 5.0)
    told = Told(statistics)
    told.tell(1_000, "a", "c")
    told.tell(2_000, "d")
    assert told.views.keys() == {"a", "other"}
    assert told.views["other"].solo == Part(count=16, share=0.5)


def test_waiting_takes_bounded_memory_and_every_sample_stands_for_its_second() -> None:
    clock = Clock()
    waiting = Waiting(clock)
    for second in range(3 * MOST_SECONDS):
        clock.seconds = 100.5 + second
        for number in range(50):
            waiting.add(sample(number, accepted_ms=1000 * second))
    assert list(waiting.take(500)) == []
    clock.seconds += 10
    taken = list(waiting.take(5))
    assert len(taken) == MOST_SECONDS
    assert all(len(samples) == MOST_A_SECOND for samples, _ in taken)
    assert {times for _, times in taken} == {50 / MOST_A_SECOND}
    assert [samples[0].accepted_ms for samples, _ in taken] == [
        1000 * second for second in range(2 * MOST_SECONDS, 3 * MOST_SECONDS)
    ]
    assert list(waiting.take(0)) == []


def test_nobody_is_looked_up_before_the_age_it_has_to_have() -> None:
    clock = Clock(100.9)
    waiting = Waiting(clock)
    waiting.add(sample(1))
    clock.seconds = 101.5
    waiting.add(sample(2))
    for seconds, expected in ((105.8, 0), (106.5, 0), (106.6, 1)):
        clock.seconds = seconds
        assert len(list(waiting.take(5))) == expected


def test_a_sample_that_stands_for_several_stands_for_these_too() -> None:
    clock = Clock()
    waiting = Waiting(clock)
    for number in range(2 * MOST_A_SECOND):
        waiting.add(sample(number), 2.5)
    clock.seconds += 10
    [(samples, times)] = waiting.take(5)
    assert (len(samples), times) == (MOST_A_SECOND, 5)


@pytest.mark.parametrize(
    ("transactions", "observations", "seconds"),
    [(120, 120, 5), (86_400, 3_600, 5), (48, 3_600, 2), (3_600, 60, 2.5), (1, 120, 1)],
)
def test_samples_are_looked_up_before_what_tells_of_them_is_gone(
    transactions: float, observations: float, seconds: float
) -> None:
    settings = Settings(
        dedup_window_seconds=0.1,
        transaction_retention_seconds=transactions,
        emergency_transaction_retention_seconds=0.5,
        observation_retention_seconds=observations,
        emergency_observation_retention_seconds=0.5,
    )
    assert look_seconds(settings) == seconds


@pytest.fixture
async def closing() -> AsyncIterator[AsyncExitStack]:
    """Closes what a test has opened, whether it passes or fails."""
    async with AsyncExitStack() as stack:
        yield stack


async def _looked_up(gate: Gate) -> None:
    """Look up all of the sample, as soon as each is old enough."""
    await gate.late.tick()
    while gate.sources.waiting:
        await gate.misses.tick()
        await asyncio.sleep(0.1)


async def test_the_store_tells_who_delivered_what_to_any_gate(
    store: StoreServer, settings_for: MakeSettings, closing: AsyncExitStack
) -> None:
    """Two gates of one store: what one accepts the feeds of the other deliver or miss."""
    settings = settings_for(store, late_sample=1, dedup_window_seconds=0.5)
    one, two = [await connected_gate(settings) for _ in range(2)]
    closing.push_async_callback(one.session.close)
    closing.push_async_callback(two.session.close)
    for begin in range(0, 12, 3):
        both, first, second = (f"signature-{begin + at}" for at in range(3))
        await one.flusher.flush([transaction(both, "a"), transaction(first, "a")])
        await two.flusher.flush([transaction(both, "b"), transaction(second, "b")])
        await asyncio.sleep(0.02)  # the clocks of a cluster's nodes tell apart what is milliseconds apart
    await _looked_up(one)
    await _looked_up(two)
    [of_one] = [view for view in one.sources.view().sources if view.source == "a"]
    assert of_one.solo == Part(count=4, share=0.5)
    [other] = [view for view in one.sources.view().sources if view.source == "b"]
    assert other.accepted == 0
    assert other.missed is not None
    # Of those that gate one accepted. The last of all nobody can tell, since b was not seen after it. Nor the
    # first, if by the clock of another node of a cluster b was seen only after it.
    assert (2 if one.session.partitions > 1 else 3) <= other.missed.count <= 4
    [alone] = [view for view in two.sources.view().sources if view.source == "b"]
    assert alone.solo == Part(count=4, share=1)
