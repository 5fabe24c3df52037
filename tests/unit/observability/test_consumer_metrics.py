"""Metrics of consumers are those of the latest reading; lag and loss are warned of."""

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.errors import StoreUnreachable
from app.observability.consumer_metrics import ConsumersCollector
from app.settings.model import Settings
from app.store.consumers import ConsumerFigures, ConsumersReading
from app.store.settings_in_force import LiveSettings
from tests.support.metric_families import parsed, value

NOW_MS = 1_700_000_000_000
BOT = ConsumerFigures(
    name="bot",
    incarnation=1_600_000_000_000_000,
    ordinals=(700,),
    before_ms=(NOW_MS - 4_000,),
    lag_transactions=50,
    lag_seconds=12.5,
    kept_seconds=120,
    leases=2,
    delivered=650,
    redelivered=20,
    missed=4,
    unknown_gaps=2,
    called_ms=NOW_MS - 3_000,
)


class Readings:
    """A store whose consumers a test sets, and the collector that reads them."""

    def __init__(self, **settings: object) -> None:
        self.consumers: list[ConsumerFigures] = []
        self.born_ms = NOW_MS - 10**9
        self.is_up = True
        self.error: Exception | None = None
        live = LiveSettings(Settings(**settings))  # type: ignore[arg-type]
        self.now_ms = NOW_MS
        self.collector = ConsumersCollector(self._read, live, lambda: self.is_up, lambda: self.now_ms)
        self._registry = CollectorRegistry()
        self._registry.register(self.collector)

    async def _read(self) -> ConsumersReading:
        if self.error:
            raise self.error
        return ConsumersReading(self.born_ms, self.consumers)

    async def lose(self, *consumers: ConsumerFigures) -> str:
        """What is exported when the store has lost its data, and has these consumers then."""
        self.born_ms += 10**6
        return await self.scrape(*consumers)

    async def scrape(self, *consumers: ConsumerFigures) -> str:
        """What is exported after a reading that finds these consumers."""
        self.consumers = list(consumers)
        await self.collector.refresh()
        return self.text()

    def text(self) -> str:
        """What is exported now."""
        return generate_latest(self._registry).decode()


def consumers_in(text: str) -> set[str]:
    """The consumers that have any series."""
    samples = [sample for _, found in parsed(text).values() for sample in found]
    return {sample.labels["consumer"] for sample in samples if "consumer" in sample.labels}


async def test_a_consumer_has_its_lag_its_idleness_and_its_totals() -> None:
    readings = Readings()
    await readings.scrape()
    text = await readings.scrape(BOT)
    assert {
        name: value(text, f"consumer_{name}", consumer="bot")
        for name in (
            "lag_transactions",
            "lag_seconds",
            "kept_seconds",
            "idle_seconds",
            "delivered_total",
            "redelivered_total",
            "missed_total",
            "unknown_gaps_total",
        )
    } == {
        "lag_transactions": 50,
        "lag_seconds": 12.5,
        "kept_seconds": 120,
        "idle_seconds": 3,
        "delivered_total": 650,
        "redelivered_total": 20,
        "missed_total": 4,
        "unknown_gaps_total": 2,
    }


TOTALS = ("delivered_total", "redelivered_total", "missed_total")


def totals(text: str, name: str = "bot") -> list[float | None]:
    """What the consumer was handed, handed again, and has missed."""
    return [value(text, f"consumer_{total}", consumer=name) for total in TOTALS]


async def test_totals_count_from_the_first_reading_of_a_gate() -> None:
    readings = Readings()
    assert totals(await readings.scrape(BOT)) == [0, 0, 0]
    more = BOT._replace(delivered=700, redelivered=21, missed=9)
    assert totals(await readings.scrape(more)) == [50, 1, 5]


async def test_totals_stay_when_a_failover_sets_the_counts_of_the_store_back_and_grow_from_there() -> None:
    readings = Readings()
    await readings.scrape()
    await readings.scrape(BOT._replace(delivered=7_000, missed=60))
    back = await readings.scrape(BOT._replace(delivered=5_000, missed=40))
    assert totals(back) == [7_000, 20, 60]
    assert totals(await readings.scrape(BOT._replace(delivered=5_010, missed=41))) == [7_010, 20, 61]


async def test_a_consumer_that_was_forgotten_and_came_again_counts_from_0() -> None:
    readings = Readings()
    await readings.scrape()
    await readings.scrape(BOT)
    await readings.scrape()
    assert totals(await readings.scrape(BOT._replace(delivered=3, redelivered=0, missed=1))) == [3, 0, 1]


async def test_what_one_made_again_under_its_name_was_handed_is_counted_whole() -> None:
    """Deleted and made again, or lost with its store, between two readings."""
    readings = Readings()
    await readings.scrape(BOT)
    await readings.scrape(BOT._replace(delivered=750))
    again = BOT._replace(incarnation=6, delivered=30, redelivered=0, missed=2)
    assert totals(await readings.scrape(again)) == [130, 0, 2]
    assert totals(await readings.lose(again._replace(incarnation=7, delivered=40))) == [170, 0, 4]


async def test_a_consumer_that_called_by_a_clock_ahead_of_this_one_is_not_idle() -> None:
    text = await Readings().scrape(BOT._replace(called_ms=NOW_MS + 500))
    assert value(text, "consumer_idle_seconds", consumer="bot") == 0


async def test_one_that_calls_is_idle_until_the_reading_and_one_that_does_not_until_now() -> None:
    readings = Readings()
    await readings.scrape(BOT, BOT._replace(name="dead"))
    readings.now_ms += 5_000
    await readings.scrape(BOT._replace(called_ms=readings.now_ms - 200), BOT._replace(name="dead"))
    readings.now_ms += 4_000
    assert value(readings.text(), "consumer_idle_seconds", consumer="bot") == 0.2
    assert value(readings.text(), "consumer_idle_seconds", consumer="dead") == 12


async def test_the_series_of_a_consumer_that_is_forgotten_vanish() -> None:
    readings = Readings()
    assert consumers_in(await readings.scrape(BOT, BOT._replace(name="other"))) == {"bot", "other"}
    assert consumers_in(await readings.scrape(BOT._replace(name="other"))) == {"other"}
    assert consumers_in(await readings.scrape()) == set()


async def test_no_more_consumers_have_series_than_there_may_be_and_those_that_called_last_have() -> None:
    many = [BOT._replace(name=f"c{number}", called_ms=NOW_MS - number) for number in range(9, -1, -1)]
    text = await Readings(consumers_limit=3).scrape(*many)
    assert consumers_in(text) == {"c0", "c1", "c2"}


async def test_the_figures_stay_while_the_store_is_down_or_cannot_say() -> None:
    readings = Readings()
    await readings.scrape(BOT)
    readings.is_up = False
    assert consumers_in(await readings.scrape()) == {"bot"}
    readings.is_up, readings.error = True, StoreUnreachable("gone")
    with pytest.raises(StoreUnreachable):
        await readings.collector.refresh()
    assert consumers_in(readings.text()) == {"bot"}


async def test_after_how_long_a_consumer_is_forgotten_is_exported_without_any() -> None:
    assert value(Readings(consumer_idle_seconds=900).text(), "consumer_idle_limit_seconds") == 900


async def test_a_consumer_past_half_of_the_retention_is_warned_of_and_no_other() -> None:
    """By the retention that the store goes by, also before it has taken a change of this gate."""
    readings = Readings(transaction_retention_seconds=600)
    await readings.scrape(BOT._replace(lag_seconds=60), BOT._replace(name="late", lag_seconds=60.6))
    [(name, sentence)] = readings.collector.warnings().items()
    assert str(name) == "consumer_lags:late"
    assert sentence.startswith(
        "The consumer late is 61 s behind, and what it has not taken is kept for 120 s: it misses what it "
        "has not leased by then."
    )


NEW = BOT._replace(incarnation=BOT.incarnation + 10**9, unknown_gaps=0, delivered=0)
"""The consumer that begins under the name of one that was lost."""


def gaps_in(text: str, name: str = "bot") -> float | None:
    return value(text, "consumer_unknown_gaps_total", consumer=name)


async def test_a_consumer_that_is_lost_with_its_store_has_a_gap_more_and_the_count_never_goes_back() -> None:
    readings = Readings()
    assert gaps_in(await readings.scrape(BOT)) == 2
    assert gaps_in(await readings.lose(NEW)) == 3
    assert gaps_in(await readings.scrape(NEW)) == 3
    assert gaps_in(await readings.scrape(NEW._replace(unknown_gaps=1))) == 4
    assert gaps_in(await readings.lose(NEW._replace(incarnation=7))) == 5


async def test_one_that_is_lost_and_not_back_yet_has_that_series_only() -> None:
    readings = Readings(consumer_idle_seconds=900)
    await readings.scrape(BOT)
    text = await readings.lose()
    assert (gaps_in(text), value(text, "consumer_missed_total", consumer="bot")) == (3, None)
    assert gaps_in(await readings.scrape(NEW)) == 3
    assert gaps_in(await readings.lose()) == 4
    readings.now_ms += 899_000
    assert gaps_in(await readings.scrape()) == 4
    readings.now_ms += 2_000
    assert consumers_in(await readings.scrape()) == set()


async def test_one_that_is_not_back_by_the_next_loss_is_awaited_no_longer() -> None:
    readings = Readings()
    await readings.scrape(BOT)
    await readings.lose(BOT._replace(name="other"))
    assert consumers_in(await readings.lose()) == {"other"}


async def test_a_consumer_of_which_the_store_knows_still_is_counted_by_the_store() -> None:
    readings = Readings()
    await readings.scrape(BOT)
    assert gaps_in(await readings.lose(BOT)) == 2
    assert gaps_in(await readings.scrape(BOT._replace(unknown_gaps=3))) == 3


async def test_one_that_was_deleted_or_forgotten_has_no_gap() -> None:
    readings = Readings()
    await readings.scrape(BOT)
    assert gaps_in(await readings.scrape(NEW)) == 0
    await readings.scrape()
    assert gaps_in(await readings.lose(BOT)) == 2, "it begins on another store"
    assert readings.collector.warnings() == {}


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_gap_of_unknown_size_is_warned_of_for_ten_minutes(*, is_told: bool) -> None:
    readings = Readings()
    await readings.scrape(BOT)
    assert readings.collector.warnings() == {}, "what was before the gate started is nothing new"
    await (readings.scrape(BOT._replace(unknown_gaps=3)) if is_told else readings.lose())
    [(name, sentence)] = readings.collector.warnings().items()
    assert str(name) == "consumer_gap:bot"
    assert sentence.startswith("The store has lost its data, and with it what the consumer bot had not taken")
    readings.now_ms += 600_000
    assert readings.collector.warnings() == {}
