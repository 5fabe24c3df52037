"""The text of a scrape, as prometheus_client writes it but sooner: of most lines only the value changes."""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

# Of a gate with 64 sources there are some two thousand.
SERIES_KEPT, VALUES_KEPT = 16_384, 4_096
# Written without others being served between, in some 1 ms, or 8 when they are new.
PIECE_SAMPLES: Final = 250

_value = lru_cache(VALUES_KEPT)(floatToGoString)


class Format(NamedTuple):
    """A format of scrapes."""

    content_type: str
    write: Callable[[Collector], bytes]
    """How prometheus_client writes it."""
    end: str
    """What stands behind the last family."""


TEXT: Final = Format(CONTENT_TYPE_PLAIN_0_0_4, generate_latest, "")
OPENMETRICS: Final = Format(openmetrics.CONTENT_TYPE_LATEST, openmetrics.generate_latest, "# EOF\n")


def exposition(registry: CollectorRegistry, form: Format = TEXT) -> Iterator[str]:
    """Yield all metrics in a format, some lines at a time, without timestamps and without exemplars.

    All samples of a family are from one moment; from one family to the next the caller may take its time.
    """
    lines: list[str] = []
    for family in registry.collect():
        lines.append(_head(form, family.name, family.documentation, family.type))
        for start in range(0, len(family.samples), PIECE_SAMPLES):
            lines += [
                f"{_series(sample.name, *sample.labels.items())}{_value(sample.value)}\n"
                for sample in family.samples[start : start + PIECE_SAMPLES]
            ]
            if len(lines) >= PIECE_SAMPLES:
                yield "".join(lines)
                lines.clear()
    yield "".join([*lines, form.end])


@lru_cache(SERIES_KEPT)
def _head(form: Format, name: str, documentation: str, kind: str) -> str:
    return form.write(_One(Metric(name, documentation, kind))).decode().removesuffix(form.end)


@lru_cache(SERIES_KEPT)
def _series(name: str, *labels: tuple[str, str]) -> str:
    """A line up to its value, which comes last; both formats have the same."""
    metric = Metric(name, "", "gauge")
    metric.add_sample(name, dict(labels), 0)
    return generate_latest(_One(metric)).decode().splitlines()[-1].removesuffix("0.0")


class _One(Collector):
    def __init__(self, metric: Metric) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        return (self._metric,)
