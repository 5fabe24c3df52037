"""Counters and histograms at a fraction of the cost of the client library's own, which exports them.

Those take a lock for every sample, and look for its bucket one by one (prometheus_client, json_values.py and
metrics.py). Here only the event loop counts, so there is nobody to lock out.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString


class Count:
    """One series of a counter: how often something happened, or how much of it."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0.0

    def inc(self, amount: float = 1) -> None:
        """Add an amount to the series."""
        self.value += amount

    @property
    def numbers(self) -> list[float]:
        """The figure, in the form in which `grow` takes it, or a part of it, in another process."""
        return [self.value]

    def grow(self, numbers: Sequence[float]) -> None:
        """Add what the same series of another process has counted."""
        self.value += numbers[0]


class Distribution:
    """One series of a histogram: how many samples lie up to each bound, and their sum."""

    __slots__ = ("_bounds", "_counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, sample: float, times: int = 1) -> None:
        """Count a sample, so many times."""
        self._counts[bisect_left(self._bounds, sample)] += times
        self.sum += sample * times

    @property
    def numbers(self) -> list[float]:
        """The samples of each bucket and their sum, in the form in which `grow` takes them elsewhere."""
        return [*self._counts, self.sum]

    def grow(self, numbers: Sequence[float]) -> None:
        """Add what the same series of another process, with the same bounds, has counted."""
        *counts, total = numbers
        self._counts = [mine + int(theirs) for mine, theirs in zip(self._counts, counts, strict=True)]
        self.sum += total

    def time(self) -> "Timing":
        """Count the seconds that a `with` block takes, however it ends."""
        return Timing(self)

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and number of samples up to it, as the exposition format has them."""
        found, total = [], 0
        for bound, count in zip([*self._bounds, float("inf")], self._counts, strict=True):
            total += count
            found.append((floatToGoString(bound), float(total)))
        return found


class Timing:
    """Measures one `with` block for a distribution; a generator in its place costs each store call 2 µs."""

    __slots__ = ("_of", "_started")

    def __init__(self, of: Distribution) -> None:
        self._of = of

    def __enter__(self) -> None:
        """Begin."""
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        """End, and count what it took."""
        self._of.observe(time.perf_counter() - self._started)


Child = TypeVar("Child", Count, Distribution)


class _Family(Collector, Generic[Child]):
    """A metric with one child a set of label values."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], make: Callable[[], Child]) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._make: Callable[[], Child] = make
        self._children: dict[tuple[str, ...], Child] = {}

    def labels(self, *values: str) -> Child:
        """The child with these values, made when it is asked for first."""
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._make()
        return child

    def start(self, *label_sets: tuple[str, ...]) -> None:
        """Begin the series with these label values at 0; of one label, `start(*zip(values))`."""
        for values in label_sets:
            self.labels(*values)

    def totals(self) -> list[tuple[tuple[str, ...], list[float]]]:
        """The numbers of every child, with its label values."""
        return [(values, child.numbers) for values, child in self._children.items()]


class Counts(_Family[Count]):
    """A counter."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        super().__init__(name, text, labels, Count)

    def collect(self) -> Iterable[Metric]:
        """Yield the family with all its series (prometheus_client)."""
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.value)
        yield family


class Distributions(_Family[Distribution]):
    """A histogram."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...], bounds: tuple[float, ...]) -> None:
        super().__init__(name, text, labels, lambda: Distribution(bounds))

    def collect(self) -> Iterable[Metric]:
        """Yield the family with all its series (prometheus_client)."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for values, child in self._children.items():
            family.add_metric(values, child.buckets(), child.sum)
        yield family


class RequestsInFlight:
    """How many requests are under way in this process, as the middleware counts them, and how many may be."""

    __slots__ = ("count", "limit")

    def __init__(self, limit: int) -> None:
        self.count = 0
        self.limit = limit

    @property
    def has_room(self) -> bool:
        """Tell whether one more post of transactions may be under way."""
        return self.count < self.limit

    @property
    def limit_of_others(self) -> int:
        """Most with which a request that is no such post may be under way: a quarter is for posts alone."""
        return self.limit - self.limit // 4
