"""The text of a scrape, as prometheus_client writes it but sooner: of most lines only the value changes."""

import asyncio
from collections.abc import Iterable
from functools import lru_cache

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# Of a gate with 64 sources there are some two thousand.
SERIES_KEPT, VALUES_KEPT = 16_384, 4_096

_value = lru_cache(VALUES_KEPT)(floatToGoString)


def exposition(registry: CollectorRegistry) -> bytes:
    """All metrics in Prometheus' text format, without timestamps."""
    lines: list[str] = []
    for family in registry.collect():
        lines.append(_head(family.name, family.documentation, family.type))
        lines += [
            f"{_series(sample.name, *sample.labels.items())}{_value(sample.value)}\n"
            for sample in family.samples
        ]
    return "".join(lines).encode()


@lru_cache(SERIES_KEPT)
def _head(name: str, documentation: str, kind: str) -> str:
    return _written(Metric(name, documentation, kind))


@lru_cache(SERIES_KEPT)
def _series(name: str, *labels: tuple[str, str]) -> str:
    """A line up to its value, which comes last."""
    metric = Metric(name, "", "gauge")
    metric.add_sample(name, dict(labels), 0)
    return _written(metric).splitlines()[-1].removesuffix("0.0")


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)


def _written(metric: Metric) -> str:
    return generate_latest(_One(metric)).decode()


class Scrapes:
    """Scrapes of one registry: all that are answered in one turn of the event loop get the same text.

    Rendering takes milliseconds, and a thousand clients that ask at once would stop the loop for seconds.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._text: bytes | None = None

    def text(self) -> bytes:
        """All metrics as they are now."""
        if self._text is None:
            self._text = exposition(self._registry)
            asyncio.get_running_loop().call_soon(self._forget)
        return self._text

    def _forget(self) -> None:
        self._text = None
