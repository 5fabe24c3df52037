"""`GET /stats`: its shape, how it is put together, and the warnings in it."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog
from pydantic import Field

from app.auth import Access
from app.cleanup.run import Cleanup
from app.feeds.feeds_in_force import FeedsInForce
from app.guard.leak.finding import LeakState
from app.guard.status import GuardStatus, Level
from app.ingest.rejections import Rejection, warnings_of
from app.ingest.source_statistics import SourceStatistics
from app.metrics.catalogue import Metrics
from app.models import MapName, MapSizes, Reason, Report, Shape, TransactionOutcome
from app.process.resident_memory import Processes
from app.settings.model import env_name
from app.store.figures import Sizes
from app.store.layout import LiveSettings, MapRule
from app.store.maps import Maps
from app.store.session import StoreSession

log = structlog.get_logger()

STORE_NEAR_LIMIT_RATIO = 0.9
# Fewer late duplicates in the sample may be chance.
LATE_FOUND_FOR_WARNING = 10


class MapStats(Shape):
    """One map; `bytes` are those of its data, without the store's overhead."""

    entries: int
    limit_entries: int
    bytes: int
    limit_bytes: int | None
    retention_seconds: float
    oldest_age_seconds: float | None
    added_total: int
    removed_total: dict[Reason, int]


class IngestStats(Shape):
    """Transactions since this gate started; `failed` are those the store could not take."""

    accepted: int
    duplicate: int
    invalid: int
    refused: int
    failed: int
    refusals: dict[str, int] = Field(
        description="Requests answered 503 or 429, by the name of their problem; each may hold many items."
    )


class ProcessStats(Shape):
    """One process of the service."""

    name: str
    pid: int
    rss_bytes: int


class LeakStats(Shape):
    """The state of the process that needs somebody most."""

    state: LeakState


class MemoryStats(Shape):
    """The service's processes, the limit they share if there is one, and what the guard makes of them."""

    processes: list[ProcessStats]
    limit_bytes: int | None
    level: Level
    growth_bytes: int
    growth_threshold_bytes: int
    leak: LeakStats


class CleanupStats(Shape):
    """How well cleaning works, and what the last one did."""

    efficiency_ratio: float | None
    last: Report | None


class Stats(Shape):
    """The whole document."""

    version: str
    uptime_seconds: float
    maps: dict[MapName, MapStats]
    ingest: IngestStats
    memory: MemoryStats
    cleanup: CleanupStats
    warnings: list[str]


@dataclass
class ServiceStats:
    """Puts the figures of all parts together, for `/stats` and for the log."""

    version: str
    live: LiveSettings
    sizes: Sizes
    session: StoreSession
    maps: Maps
    metrics: Metrics
    cleanup: Cleanup
    processes: Processes
    guard_status: Callable[[], GuardStatus]
    access: Access
    sources: SourceStatistics
    feeds: FeedsInForce
    consumer_warnings: Callable[[], Mapping[str, str]]
    setback_warnings: Callable[[], Mapping[str, str]]
    rejections: Callable[[], Iterable[Mapping[str, Rejection]]]
    """The last rejection of each feed, of each process that takes transactions in."""
    _started: float = field(default_factory=time.monotonic, init=False)
    _standing: dict[str, str] = field(default_factory=dict, init=False)

    def stats(self) -> Stats:
        """Everything, from the latest figures of the maps."""
        totals = self.metrics.outcomes
        return Stats(
            version=self.version,
            uptime_seconds=time.monotonic() - self._started,
            maps={name: _map_stats(rule, self.sizes.of(name)) for name, rule in self.live.rules.items()},
            ingest=IngestStats(
                **{name: totals[name] for name in TransactionOutcome}, refusals=dict(self.metrics.refusals)
            ),
            memory=self._memory(),
            cleanup=CleanupStats(
                efficiency_ratio=self.sizes.efficiency_ratio(),
                last=self.cleanup.last,
            ),
            warnings=list(self._warnings().values()),
        )

    def _memory(self) -> MemoryStats:
        guard = self.guard_status()
        return MemoryStats(
            processes=[
                ProcessStats(name=name, pid=pid, rss_bytes=rss)
                for name, (pid, rss) in self.processes.read().items()
            ],
            limit_bytes=guard.latest.limit_bytes if guard.latest else None,
            level=guard.level,
            growth_bytes=guard.growth_bytes,
            growth_threshold_bytes=self.live.settings.leak_growth_bytes,
            leak=LeakStats(state=guard.state),
        )

    async def log_stats(self) -> None:
        """Write the figures as one log line."""
        totals = self.metrics.outcomes
        sizes = {f"{name}_entries": self.sizes.of(name).entries for name in MapName}
        log.info(
            "stats",
            dedup_size=sizes.get("signatures_entries", 0),
            **sizes,
            **{f"ingest_{name}": totals[name] for name in TransactionOutcome},
            **{f"rss_{name}_bytes": rss for name, (_, rss) in self.processes.read().items()},
            efficiency_ratio=self.sizes.efficiency_ratio(),
        )

    def log_crossings(self) -> None:
        """Log a warning once when it comes up, and once when it is over."""
        now = self._warnings()
        for key in now.keys() - self._standing.keys():
            log.warning(now[key], warning=key)
        for key in self._standing.keys() - now.keys():
            log.info("warning over", warning=key)
        self._standing = now

    def _warnings(self) -> dict[str, str]:
        warnings = {}
        if self.session.down_reason is not None:
            warnings["store_down"] = (
                f"The store is down ({self.session.down_reason.kind}): {self.session.down_reason.advice}. "
                "Transactions are answered 503 until it is back."
            )
        if self.maps.is_format_1_at_work:
            warnings["older_gate"] = (
                "An older Tidegate is at work on the same store, and is refused there: it stores in another "
                "way. Stop it, update it, or give it another TIDEGATE_STORE_PREFIX."
            )
        for name, sizes in self.sizes.maps.items():
            rule = self.live.rules[name]
            if sizes.entries > rule.warn_entries:
                warnings[f"{name}_size"] = (
                    f"{name} holds {sizes.entries} entries, above its warning size of {rule.warn_entries}; "
                    f"the limit is {rule.limit}. Check the rate of ingest, "
                    f"or raise TIDEGATE_{name.upper()}_WARN_ENTRIES."
                )
        for setting in self.access.shut():
            warnings[f"{setting}_empty"] = (
                f"The file of {env_name(setting)} holds no token, so nobody is admitted. Write one into it; "
                "it is read again within seconds."
            )
        warnings |= self._feeds_warnings()
        warnings |= dict(warnings_of(self.rejections(), time.time()))
        if self.live.ignored is not None:
            warnings["settings_ignored"] = self.live.ignored
        window, wanted = self.live.settings.dedup_window_seconds, self._wanted_window()
        if wanted is not None and wanted > window:
            warnings["window_too_short"] = (
                f"The window of {window:g} s is too short: to cover 99.9 % of what came again since the "
                f"start, it has to be {wanted:g} s, by the estimate of a sample. See in GET /sources whose "
                "transactions are `late`, and raise TIDEGATE_DEDUP_WINDOW_SECONDS."
            )
        warnings |= {**self.consumer_warnings(), **self.setback_warnings()}
        return warnings | self._store_warnings() | self.guard_status().warnings()

    def _feeds_warnings(self) -> dict[str, str]:
        warnings, trouble = {}, self.feeds.warning
        if trouble is not None:
            # It may end with a question: did you mean skip?
            end = "" if trouble.endswith("?") else "."
            warnings["feeds_file"] = f"{trouble}{end} It is read again within seconds."
        if self.access.ingest.is_open and (open_beside := self.feeds.warning_if_open()) is not None:
            warnings["feeds_open"] = open_beside
        return warnings

    def _wanted_window(self) -> float | None:
        return self.sources.recommended_window_seconds(LATE_FOUND_FOR_WARNING)

    def _store_warnings(self) -> dict[str, str]:
        store, warnings = self.sizes.store, {}
        if store is None:
            return {}
        evicting = store.policies - {"noeviction"}
        if evicting:
            warnings["store_evicts"] = (
                f"The store may evict keys (maxmemory-policy {', '.join(sorted(evicting))}), "
                "which admits duplicates. Set maxmemory-policy noeviction."
            )
        if store.limit_bytes and store.used_bytes > STORE_NEAR_LIMIT_RATIO * store.limit_bytes:
            warnings["store_near_limit"] = (
                f"The store uses {store.used_bytes} of {store.limit_bytes} bytes; when it is full, "
                "transactions are answered 503. Run POST /cleanup/emergency, or raise its limit."
            )
        return warnings


def _map_stats(rule: MapRule, sizes: MapSizes) -> MapStats:
    return MapStats(
        entries=sizes.entries,
        limit_entries=rule.limit,
        bytes=sizes.bytes,
        limit_bytes=rule.limit_bytes,
        retention_seconds=rule.retention_seconds,
        oldest_age_seconds=sizes.oldest_age_seconds,
        added_total=sizes.added,
        removed_total=sizes.removed,
    )
