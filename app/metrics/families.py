"""Makes the families of figures that are read when somebody scrapes, instead of counted by `catalogue`."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from app.metrics.catalogue import NAMESPACE


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """Make a gauge of this name behind the gate's prefix, without series yet."""
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=list(labels))


def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """Make a counter of this name behind the gate's prefix, without series yet."""
    return CounterMetricFamily(f"{NAMESPACE}_{name}", text, labels=list(labels))


def single(name: str, text: str, value: float | None) -> Iterable[GaugeMetricFamily]:
    """Yield a gauge without labels; none while there is no value."""
    if value is not None:
        family = gauge(name, text)
        family.add_metric([], value)
        yield family


def export_process(registry: CollectorRegistry) -> None:
    """Export the client library's own figures of this process and its Python: `process_*` and `python_*`."""
    for collector in (ProcessCollector, GCCollector, PlatformCollector):
        collector(registry=registry)
