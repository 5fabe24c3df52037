"""Metrics that are read, not counted: figures of maps, store and memory as the last tick left them."""

from collections.abc import Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from app.memory import Processes
from app.metrics import NAMESPACE
from app.models import MapName
from app.sizes import Sizes
from app.store.rules import MapRule


class FiguresCollector(Collector):
    """Exports the latest figures; a scrape reads memory, never the store."""

    def __init__(
        self,
        sizes: Sizes,
        rules: Mapping[MapName, MapRule],
        processes: Processes,
        memory_limit_bytes: int | None,
    ) -> None:
        self._sizes, self._rules, self._processes = sizes, rules, processes
        self._memory_limit_bytes = memory_limit_bytes

    def collect(self) -> Iterable[Metric]:
        """All families, each with every label set."""
        yield from self._map_gauges()
        yield from self._map_totals()
        yield from self._memory()
        yield from self._store()

    def _map_gauges(self) -> Iterable[Metric]:
        entries = _gauge("map_entries", "Entries held", "map")
        limits = _gauge("map_limit_entries", "Entries a map may hold", "map")
        size = _gauge("map_bytes", "Bytes of data held, without the store's overhead", "map")
        retention = _gauge("map_retention_seconds", "How long an entry is kept, seconds", "map")
        age = _gauge(
            "map_oldest_entry_age_seconds", "Age of the oldest entry, 0 when there is none, seconds", "map"
        )
        for name, rule in self._rules.items():
            sizes = self._sizes.of(name)
            entries.add_metric([name], sizes.entries)
            limits.add_metric([name], rule.limit)
            size.add_metric([name], sizes.bytes)
            retention.add_metric([name], rule.retention_seconds)
            age.add_metric([name], sizes.oldest_age_seconds or 0.0)
        return entries, limits, size, retention, age

    def _map_totals(self) -> Iterable[Metric]:
        added = CounterMetricFamily(
            f"{NAMESPACE}_map_added", "Entries added, by all gates of the store", labels=["map"]
        )
        removed = CounterMetricFamily(
            f"{NAMESPACE}_map_removed", "Entries removed, by all gates of the store", labels=["map", "reason"]
        )
        for name in self._rules:
            sizes = self._sizes.of(name)
            added.add_metric([name], sizes.added)
            for reason, amount in sizes.removed.items():
                removed.add_metric([name, reason], amount)
        return added, removed

    def _memory(self) -> Iterable[Metric]:
        rss = _gauge("memory_rss_bytes", "Resident bytes of a process of the service", "process")
        for name, (_, resident) in self._processes.rss.items():
            rss.add_metric([name], resident)
        yield rss
        if self._memory_limit_bytes is not None:
            limit = _gauge("memory_limit_bytes", "Bytes the service may hold")
            limit.add_metric([], self._memory_limit_bytes)
            yield limit

    def _store(self) -> Iterable[Metric]:
        store, ratio = self._sizes.store, self._sizes.efficiency_ratio()
        used_bytes = store.used_bytes if store else None
        limit_bytes = store.limit_bytes if store else None
        figures = (
            ("store_used_bytes", "Bytes the store uses", used_bytes),
            ("store_limit_bytes", "The store's memory limit, bytes", limit_bytes),
            (
                "cleanup_efficiency_ratio",
                "Of the entries due in the last hour, the share removed in time",
                ratio,
            ),
        )
        for name, text, value in figures:
            if value is not None:
                family = _gauge(name, text)
                family.add_metric([], value)
                yield family


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{NAMESPACE}_{name}", text, labels=list(labels))
