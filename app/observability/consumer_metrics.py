"""The consumers as the store was last read to have them: their metrics, and warnings of lag and loss."""

import time
from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.metrics.families import counter, gauge, single
from app.models import MapName, WarningKey, WarningName
from app.observability.unknown_gaps import InStore, UnknownGaps
from app.store.consumers import ConsumerFigures, ConsumersReading
from app.store.settings_in_force import LiveSettings

LAG_RATIO = 0.5
"""A consumer that lags by more than this share of the time that they are kept is about to miss some."""


class _Totals(NamedTuple):
    """What one consumer was handed and has missed."""

    delivered: int = 0
    redelivered: int = 0
    missed: int = 0


def _totals_of(consumer: ConsumerFigures) -> _Totals:
    return _Totals(consumer.delivered, consumer.redelivered, consumer.missed)


class ConsumersCollector(Collector):
    """Exports the latest figures of consumers; a scrape reads memory, never the store.

    The figures are the store's, so every gate exports the same, a few seconds old; the totals count from a
    gate's first reading, and what a store that lost its data cannot know, each gate counts itself. No more
    consumers have series than there may be in the store, and one that was deleted or forgotten has none.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[ConsumersReading]],
        live: LiveSettings,
        is_up: Callable[[], bool],
        wall_ms: Callable[[], float] = lambda: time.time() * 1000,
    ) -> None:
        """Read figures by `read`, if `is_up` says that the store is up."""
        self._read, self._live, self._is_up, self._wall_ms = read, live, is_up, wall_ms
        self.latest: list[ConsumerFigures] = []
        """The consumers as they were read last."""
        self._unknown_gaps = UnknownGaps()
        self._read_ms = 0.0
        self._totals: dict[str, _Totals] = {}
        self._is_first = True
        self._resting: set[str] = set()
        """The consumers that made no call between the last two readings."""

    async def refresh(self) -> None:
        """Read the figures, while all of the store is up: else totals would fall, and rise again.

        Raises:
            StoreError: the latest figures stay.
        """
        if not self._is_up():
            return
        reading = await self._read()
        if not reading.is_whole:
            return
        called = sorted(reading.consumers, key=lambda one: -one.called_ms)
        before = {(one.name, one.called_ms) for one in self.latest}
        self._add(called[: self._live.settings.consumers_limit])
        self._read_ms = self._wall_ms()
        kept_ms = self._live.settings.consumer_idle_seconds * 1000
        found = {one.name: InStore(one.incarnation, one.unknown_gaps) for one in self.latest}
        self._unknown_gaps.note(reading.born_ms, found, self._read_ms, kept_ms)
        self._resting = {one.name for one in self.latest if (one.name, one.called_ms) in before}

    def collect(self) -> Iterable[Metric]:
        """Yield the metrics of all consumers (prometheus_client)."""
        lag = gauge(
            "consumer_lag_transactions", "Accepted transactions the consumer has not committed", "consumer"
        )
        seconds = gauge(
            "consumer_lag_seconds",
            "Age of the oldest transaction the consumer has not committed, 0 when there is none, seconds",
            "consumer",
        )
        kept = gauge(
            "consumer_kept_seconds",
            "How long the oldest transaction the consumer has not committed is kept, seconds",
            "consumer",
        )
        idle = gauge("consumer_idle_seconds", "Since the consumer's last call, seconds", "consumer")
        delivered = counter(
            "consumer_delivered", "Transactions handed to the consumer for the first time", "consumer"
        )
        again = counter(
            "consumer_redelivered", "Transactions handed out again because their lease ran out", "consumer"
        )
        missed = counter(
            "consumer_missed", "Transactions that left the store before the consumer took them", "consumer"
        )
        gaps = counter(
            "consumer_unknown_gaps",
            "Times the store lost its data with what the consumer had not taken, and nobody knows how much",
            "consumer",
        )
        for one in self.latest:
            lag.add_metric([one.name], one.lag_transactions)
            seconds.add_metric([one.name], one.lag_seconds)
            kept.add_metric([one.name], self._kept_seconds(one))
            idle.add_metric([one.name], self._idle_seconds(one))
            totals = self._totals[one.name]
            delivered.add_metric([one.name], totals.delivered)
            again.add_metric([one.name], totals.redelivered)
            missed.add_metric([one.name], totals.missed)
        for name, total in self._unknown_gaps.totals().items():
            gaps.add_metric([name], total)
        yield from (lag, seconds, kept, idle, delivered, again, missed, gaps)
        yield from single(
            "consumer_idle_limit_seconds",
            "Without a call for so long a consumer is forgotten, seconds",
            self._live.settings.consumer_idle_seconds,
        )

    def _add(self, consumers: list[ConsumerFigures]) -> None:
        """Count what consumers were handed and missed since the reading before.

        One that is new since then counts from 0, also under the name of one that was deleted. Counts of the
        store go back with it in a failover, and a total that did so would look like thousands that were
        missed in a moment: it stays instead.
        """
        earlier = consumers if self._is_first else self.latest
        before = {(one.name, one.incarnation): _totals_of(one) for one in earlier}
        totals, self._totals = self._totals, {}
        for one in consumers:
            then = before.get((one.name, one.incarnation), _Totals())
            so_far = totals.get(one.name, _Totals())
            grown = (t + max(0, n - b) for t, n, b in zip(so_far, _totals_of(one), then, strict=True))
            self._totals[one.name] = _Totals(*grown)
        self.latest, self._is_first = consumers, False

    def _idle_seconds(self, consumer: ConsumerFigures) -> float:
        """Return the seconds since the last call: until the reading if it calls all the time, else until now.

        So one that calls does not seem to rest between two readings, and the last scrape before one is
        forgotten finds how long it has rested.
        """
        until_ms = self._wall_ms() if consumer.name in self._resting else self._read_ms
        return max(0.0, until_ms - consumer.called_ms) / 1000

    def warnings(self) -> dict[WarningKey, str]:
        """Return a sentence for each consumer that is about to miss transactions or has lost some."""
        return self._lags() | {
            WarningKey(WarningName.CONSUMER_GAP, name): (
                f"The store has lost its data, and with it what the consumer {name} had not taken; nobody "
                "knows how much. Send again what it needs. See GET /consumers."
            )
            for name in self._unknown_gaps.recent(self._wall_ms())
        }

    def _lags(self) -> dict[WarningKey, str]:
        return {
            WarningKey(WarningName.CONSUMER_LAGS, one.name): (
                f"The consumer {one.name} is {one.lag_seconds:.0f} s behind, and what it has not taken is "
                f"kept for {self._kept_seconds(one):g} s: it misses what it has not leased by then. See GET "
                "/consumers. Let more callers share its name, or raise transaction_retention_seconds by "
                "PATCH /settings, which holds for what is stored, too."
            )
            for one in self.latest
            if one.lag_seconds > LAG_RATIO * self._kept_seconds(one)
        }

    def _kept_seconds(self, consumer: ConsumerFigures) -> float:
        """How long what the consumer has not taken is kept: by the retention that the store goes by."""
        return consumer.kept_seconds or self._live.rules[MapName.TRANSACTIONS].retention_seconds
