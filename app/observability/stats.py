"""`GET /stats`: its shape, and how it is put together; the warnings in it are those of warnings.py."""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

import structlog
from pydantic import Field

from app.cleanup.run import Cleanup
from app.errors import StoreError
from app.guard.leak.finding import LeakState
from app.guard.memory_limit import LimitSource
from app.guard.status import GuardStatus, Level
from app.metrics.catalogue import Metrics
from app.models import JsonModel, MapName, MapSizes, Reason, Report, TransactionOutcome
from app.observability.warnings import ServiceWarnings
from app.process.resident_memory import Processes
from app.store.latest_figures import Sizes
from app.store.map_rules import MapRule
from app.store.settings_in_force import LiveSettings

log = structlog.get_logger()


class MapStats(JsonModel):
    """One map; `bytes` are those of its data, without the store's overhead."""

    entries: int
    limit_entries: int
    bytes: int
    limit_bytes: int | None
    retention_seconds: float
    oldest_age_seconds: float | None
    added_total: int
    removed_total: dict[Reason, int]


class IngestStats(JsonModel):
    """Transactions since this gate started; `failed` are those the store could not take."""

    accepted: int
    duplicate: int
    invalid: int
    refused: int
    failed: int
    refusals: dict[str, int] = Field(
        description="Requests answered 503 or 429, by the name of their problem; each may hold many items."
    )


class ProcessStats(JsonModel):
    """One process of the service."""

    name: str
    pid: int
    rss_bytes: int


class LeakStats(JsonModel):
    """The state of the process that needs somebody most."""

    state: LeakState


class MemoryStats(JsonModel):
    """The service's processes, the limit they share if there is one, and what the guard makes of them."""

    processes: list[ProcessStats]
    limit_bytes: int | None
    limit_source: LimitSource | None
    level: Level
    growth_bytes: int
    growth_threshold_bytes: int
    leak: LeakStats


class CleanupStats(JsonModel):
    """How well cleaning works, and what the last one did."""

    efficiency_ratio: float | None
    last: Report | None


class StoreStats(JsonModel):
    """The store's memory by its own figures, and what of it the maps account for."""

    used_bytes: int
    limit_bytes: int | None
    maps_bytes: int


class Stats(JsonModel):
    """The whole document; `store` is null before the store was first reached."""

    version: str
    uptime_seconds: float
    maps: dict[MapName, MapStats]
    ingest: IngestStats
    memory: MemoryStats
    store: StoreStats | None
    cleanup: CleanupStats
    warnings: list[str]


@dataclass
class ServiceStats:
    """Puts the figures of all parts together, for `/stats` and for the log."""

    version: str
    live: LiveSettings
    sizes: Sizes
    metrics: Metrics
    cleanup: Cleanup
    processes: Processes
    guard_status: Callable[[], GuardStatus]
    warnings: ServiceWarnings
    ask_workers: Callable[[], Awaitable[object]]
    is_store_up: Callable[[], bool]
    _started: float = field(default_factory=time.monotonic, init=False)

    async def refresh(self) -> None:
        """Read the figures of workers and maps anew; the latest known stay while the store is down."""
        await self.ask_workers()
        if self.is_store_up():
            with suppress(StoreError):
                await self.sizes.refresh()

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
            store=self._store(),
            cleanup=CleanupStats(
                efficiency_ratio=self.sizes.efficiency_ratio(),
                last=self.cleanup.last,
            ),
            warnings=list(self.warnings.now().values()),
        )

    def _store(self) -> StoreStats | None:
        figures, maps_bytes = self.sizes.store, self.warnings.maps_bytes()
        if figures is None:
            return None
        return StoreStats(
            used_bytes=figures.used_bytes, limit_bytes=figures.limit_bytes, maps_bytes=maps_bytes
        )

    def _memory(self) -> MemoryStats:
        guard = self.guard_status()
        return MemoryStats(
            processes=[
                ProcessStats(name=name, pid=pid, rss_bytes=rss)
                for name, (pid, rss) in self.processes.read().items()
            ],
            limit_bytes=guard.latest.limit_bytes if guard.latest else None,
            limit_source=guard.latest.limit_source if guard.latest else None,
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
