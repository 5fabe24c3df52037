"""The memory guard: reads, judges, acts; what it needs are arguments, and others call it when it is time."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import structlog

from app.guard.actions import Actions
from app.guard.leak.detector import Detector, DetectorRules, Finding, Tier
from app.guard.levels import Level, LevelBand
from app.guard.readers import Pressure, Process, Readers, Sample, read, read_pressure
from app.guard.relief import Lease, ProcessRelief, StoreRelief, granted
from app.guard.watch import Watch
from app.metrics.catalogue import Metrics
from app.settings.model import Settings

log = structlog.get_logger()

WATCHED = ("gate", "store")
"""Always; a worker while it is up."""
SAMPLES_KEPT = 240
SAMPLE_KEPT_SECONDS = 30.0
FAILED_READINGS = 3

Examine = Callable[[str, Finding, Mapping[str, int]], None]


class Publish(Protocol):
    """Passes on whether ingest is refused, and the bytes below the limit, None without one."""

    def __call__(self, *, refuses: bool, room_bytes: int | None) -> None:
        """Pass it on, at once."""


@dataclass(frozen=True)
class Clock:
    """Seconds that only go forward, and milliseconds since the epoch."""

    monotonic: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = lambda: int(time.time() * 1000)


@dataclass
class Guard:
    """Watches each process for leaks and the whole for its ceiling."""

    settings: Callable[[], Settings]
    readers: Readers
    actions: Actions
    examine: Examine
    metrics: Metrics
    clock: Clock = field(default_factory=Clock)
    lease: Lease = granted
    """Asked before a store that other gates may live on is cleaned."""
    publish: Publish = lambda **_: None
    """Told of every look at the ceiling: whether to refuse ingest, and the room there is."""
    watches: dict[str, Watch] = field(default_factory=dict, init=False)
    latest: Sample | None = field(default=None, init=False)
    samples: deque[Sample] = field(default_factory=lambda: deque(maxlen=SAMPLES_KEPT), init=False)
    refuses_ingest: bool = field(default=False, init=False)
    """The one flag the request path reads."""
    room_bytes: int | None = field(default=None, init=False)
    """Bytes below the limit at the last look, None without one; what bodies under way take has to fit."""

    def __post_init__(self) -> None:
        self._rules = self.settings()
        self._ladder = LevelBand()
        self._processes = ProcessRelief(self.actions, self.clock.monotonic)
        self._store = StoreRelief(self.actions, self.clock.monotonic, self.lease)
        self._failed_readings: dict[str, int] = {}
        for name in WATCHED:
            self._watch_new(name)

    @property
    def level(self) -> Level:
        """How near memory is to its limit."""
        return self._ladder.level

    @property
    def blind_spots(self) -> list[str]:
        """What cannot be read for a while now; the parts of the guard that need it do nothing."""
        return sorted(name for name, times in self._failed_readings.items() if times >= FAILED_READINGS)

    async def tick(self) -> None:
        """Take one sample of everything and look for leaks."""
        self._follow_settings()
        sample = read(self.readers, self.clock.monotonic(), self.clock.wall_ms())
        self._remember(sample)
        if sample.limit_bytes is None or (sample.pressure_bytes is None and self.blind_spots):
            # Without a limit, or blind, it must not go on refusing traffic.
            self._ladder = LevelBand()
            self.refuses_ingest = False
            self.publish(refuses=False, room_bytes=self.room_bytes)
        for name, process in sample.processes.items():
            if name in self.watches:
                await self._watch(self.watches[name], process, sample.at_seconds)
        await self._store.relieve_store(sample.store, self._rules)

    async def check_ceiling(self) -> None:
        """Compare memory with its limit and relieve it; called often: memory can fill within seconds."""
        self._follow_settings()
        before, pressure = self.level, read_pressure(self.readers)
        self.room_bytes = pressure and max(0, pressure.limit_bytes - pressure.used_bytes)
        if pressure is None:
            self.publish(refuses=self.refuses_ingest, room_bytes=None)
            return
        is_new = self._climb(pressure).number > before.number
        own = [name for name in self.watches if name != "store"]
        if await self._processes.relieve(self.level, own, is_new=is_new):
            pressure = self._look_again(pressure)
        store = self.latest.processes.get("store") if self.latest else None
        if await self._store.relieve_service(pressure, store, self.level, self._rules, is_new=is_new):
            self._look_again(pressure)

    def watch_only(self, workers: Iterable[str]) -> None:
        """Watch these workers, and no others; one that ended and came up again is a new one."""
        names = (*WATCHED, *workers)
        self.watches = {name: watch for name, watch in self.watches.items() if name in names}
        for name in names:
            if name not in self.watches:
                self._watch_new(name)

    def reset(self) -> None:
        """An operator has looked: every process starts again from `ok`."""
        for watch in self.watches.values():
            watch.reset()

    def _watch_new(self, name: str) -> None:
        self.watches[name] = Watch(name, Detector(_detector_rules(self._rules)), self.settings)

    def _follow_settings(self) -> None:
        settings = self.settings()
        if settings is not self._rules:
            self._rules = settings
            for watch in self.watches.values():
                watch.detector.rules = _detector_rules(settings)

    def _remember(self, sample: Sample) -> None:
        self.latest = sample
        if not self.samples or sample.at_seconds - self.samples[-1].at_seconds >= SAMPLE_KEPT_SECONDS:
            self.samples.append(sample)
        failed = {name for name, _ in sample.discarded}
        self._failed_readings = {name: self._failed_readings.get(name, 0) + 1 for name in failed}
        for _, reason in sample.discarded:
            self.metrics.memory_samples_discarded_total.labels(reason).inc()

    def _climb(self, pressure: Pressure) -> Level:
        before = self.level
        level = self._ladder.tick(pressure.used_bytes, pressure.limit_bytes, self._rules)
        self.refuses_ingest = level is Level.HARD
        self.publish(refuses=self.refuses_ingest, room_bytes=self.room_bytes)
        if level is not before:
            write = log.warning if level.number > before.number else log.info
            figures = {"pressure_bytes": pressure.used_bytes, "limit_bytes": pressure.limit_bytes}
            write("memory pressure", old=before, new=level, **figures)
        return level

    def _look_again(self, pressure: Pressure) -> Pressure:
        """Pressure after an action, by which the level is set anew; as it was if it cannot be read."""
        pressure = read_pressure(self.readers) or pressure
        self._climb(pressure)
        return pressure

    async def _watch(self, watch: Watch, process: Process, at_seconds: float) -> None:
        resident, explained = process.rss_bytes, sum(process.explained_bytes.values())
        if watch.awaits_examination:
            if watch.examine(at_seconds, resident, explained):
                await self._confirmed(watch, process, at_seconds)
            return
        finding = watch.tick(at_seconds, resident, explained)
        if finding is None:
            return
        if finding.tier is Tier.DAILY:
            self.metrics.leak_detections_total.labels(watch.name, finding.tier).inc()
            log.warning(
                "slow growth over a day",
                process=watch.name,
                bytes_per_hour=round(finding.slope_bytes_per_hour),
            )
            return
        watch.suspect(finding)
        await self.actions.collect_and_trim(watch.name)

    async def _confirmed(self, watch: Watch, process: Process, at_seconds: float) -> None:
        """Act on a leak that is proven, and have it examined.

        A store that is not ours is not cleaned for it: what grew there is by its nature no entry of the maps,
        and each gate of the store would cut what all of them can look up.
        """
        finding = watch.finding
        if finding is None:
            return
        self.metrics.leak_detections_total.labels(watch.name, finding.tier).inc()
        if watch.may_act():
            if process.name != "store" or process.pid is not None:
                await self.actions.cut_back(watch.name)
            watch.acted(at_seconds)
        self.examine(watch.name, finding, self.actions.last.get(watch.name, {}))


def _detector_rules(settings: Settings) -> DetectorRules:
    return DetectorRules(
        leak_window_seconds=settings.leak_window_seconds,
        leak_growth_bytes=settings.leak_growth_bytes,
        leak_warmup_seconds=settings.leak_warmup_seconds,
        slow_leak_bytes_per_hour=settings.slow_leak_bytes_per_hour,
        sample_seconds=settings.memory_sample_seconds,
    )
