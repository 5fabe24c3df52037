"""Metrics that are read, not counted: figures of maps, store and memory as the last tick left them."""

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.metrics.families import counter, gauge, single
from app.models import NO_STORE_FIGURES
from app.process.resident_memory import Processes
from app.settings.model import COMPARED
from app.store.data_loss import imbalance
from app.store.latest_figures import Sizes
from app.store.settings_in_force import LiveSettings


class FiguresCollector(Collector):
    """Exports the latest figures; a scrape reads memory, never the store."""

    def __init__(
        self,
        sizes: Sizes,
        live: LiveSettings,
        processes: Processes,
    ) -> None:
        self._sizes, self._live, self._processes = sizes, live, processes

    def collect(self) -> Iterable[Metric]:
        """All families, each with every label set."""
        yield from self._map_gauges()
        yield from self._map_totals()
        yield self._differing()
        yield from self._memory()
        yield from self._store()

    def _map_gauges(self) -> Iterable[Metric]:
        entries = gauge("map_entries", "Entries held", "map")
        limits = gauge("map_limit_entries", "Entries a map may hold", "map")
        size = gauge("map_bytes", "Bytes of data held, without the store's overhead", "map")
        retention = gauge("map_retention_seconds", "How long an entry is kept, seconds", "map")
        warn = gauge("map_warn_entries", "Entries above which a warning is raised", "map")
        most = gauge("map_limit_bytes", "Bytes of data a map may hold, where it has such a limit", "map")
        age = gauge(
            "map_oldest_entry_age_seconds", "Age of the oldest entry, 0 when there is none, seconds", "map"
        )
        for name, rule in self._live.rules.items():
            sizes = self._sizes.of(name)
            entries.add_metric([name], sizes.entries)
            limits.add_metric([name], rule.limit)
            size.add_metric([name], sizes.bytes)
            retention.add_metric([name], rule.retention_seconds)
            age.add_metric([name], sizes.oldest_age_seconds or 0.0)
            warn.add_metric([name], rule.warn_entries)
            if rule.limit_bytes is not None:
                most.add_metric([name], rule.limit_bytes)
        return entries, limits, size, retention, age, warn, most

    def _differing(self) -> Metric:
        differs = gauge(
            "setting_differs",
            "1 if the gate was started with another value than holds, or than other gates of the store",
            "setting",
        )
        for name in COMPARED:
            differs.add_metric([name], name in self._live.differing)
        return differs

    def _map_totals(self) -> Iterable[Metric]:
        added = counter(
            "map_added", "Entries added by all gates of the store, since this one first looked", "map"
        )
        removed = counter(
            "map_removed",
            "Entries removed by all gates of the store, since this one first looked",
            "map",
            "reason",
        )
        off = gauge(
            "map_imbalance_entries", "Added minus removed minus held, 0 if the counts are right", "map"
        )
        for name, totals in self._sizes.totals.items():
            added.add_metric([name], totals.added)
            for reason, amount in totals.removed.items():
                removed.add_metric([name, reason], amount)
            off.add_metric([name], imbalance(self._sizes.of(name)))
        return added, removed, off

    def _memory(self) -> Iterable[Metric]:
        rss = gauge("memory_rss_bytes", "Resident bytes of a process of the service", "process")
        for name, (_, resident) in self._processes.rss.items():
            rss.add_metric([name], resident)
        yield rss

    def _store(self) -> Iterable[Metric]:
        store, ratio = self._sizes.store or NO_STORE_FIGURES, self._sizes.efficiency_ratio()
        figures: tuple[tuple[str, str, float | None], ...] = (
            ("store_used_bytes", "Bytes the store uses", store.used_bytes),
            ("store_rss_bytes", "Resident bytes of the store by its own figures", store.rss_bytes),
            ("store_limit_bytes", "The store's memory limit, bytes", store.limit_bytes),
            (
                "store_fragmentation_ratio",
                "Resident bytes of the store to bytes it uses",
                store.fragmentation_ratio,
            ),
            (
                "store_may_evict",
                "1 while the store may evict keys, by the maxmemory-policy of a master",
                None if store.may_evict is None else float(store.may_evict),
            ),
            (
                "cleanup_efficiency_ratio",
                "Of the entries due in the last hour, the share removed in time",
                ratio,
            ),
        )
        for name, text, value in figures:
            yield from single(name, text, value)
        evicted = counter("store_evicted_keys", "Keys the store evicted since this gate first looked")
        evicted.add_metric([], store.evicted_keys)
        yield evicted
