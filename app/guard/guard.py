"""The memory guard: watches each process of the service for leaks, and all of them together for the limit.

Others call it when it is time, and give it what it reads and does as arguments:

- `tick`, each sample (5 s by default), with a reading of memory: each process goes through its `Watch`, and a
  suspicion has that process collect and trim, a proven leak has it cut back and be examined;
- `check_ceiling`, four times a second, since memory can fill within seconds: at `soft` and `hard` memory is
  freed (`process_relief`, `store_relief`), and at `hard` ingest is refused.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import structlog

from app.guard.actions import Actions
from app.guard.leak.detector import Detector
from app.guard.leak.detector_rules import DetectorRules
from app.guard.leak.finding import Finding, Tier
from app.guard.leak.watch import Watch
from app.guard.memory_reading import (
    Discard,
    MemoryReading,
    MemorySensors,
    Pressure,
    ProcessReading,
    read,
    read_pressure,
)
from app.guard.pressure_levels import LevelBand
from app.guard.process_relief import ProcessRelief
from app.guard.status import GuardStatus, Level
from app.guard.store_relief import Lock, StoreRelief, granted
from app.metrics.catalogue import Metrics
from app.models import DRILL, MemoryHeadroom
from app.settings.model import Settings

log = structlog.get_logger()

WATCHED = ("gate", "store")
"""Processes that are always under watch; a worker is while it is up."""
READINGS_KEPT = 240
KEPT_READING_SECONDS = 30.0
FAILED_READINGS = 3

Examine = Callable[[str, Finding, Mapping[str, int]], None]
"""Begins to examine what leaks: the process, the finding, and bytes that came back, by action."""


@dataclass(frozen=True)
class Clock:
    """Seconds that only go forward, and milliseconds since the epoch."""

    monotonic: Callable[[], float] = time.monotonic
    wall_ms: Callable[[], int] = lambda: int(time.time() * 1000)


@dataclass
class Guard:
    """Watches each process for leaks and the whole for its ceiling."""

    settings: Callable[[], Settings]
    sensors: MemorySensors
    actions: Actions
    examine: Examine
    metrics: Metrics
    clock: Clock = field(default_factory=Clock)
    lock: Lock = granted
    """Asked before a store that other gates may live on is cleaned."""
    is_leak_drill: Callable[[], bool] = lambda: False
    """Whether a drill has the gate's process leak."""
    restart: Callable[[str], None] = lambda _: None
    """Has the gate stop and be started again, for a process on which acting did not help."""
    headroom: MemoryHeadroom = field(default_factory=MemoryHeadroom)
    """Written after every comparison with the limit; those that take requests in read it."""
    publish: Callable[[MemoryHeadroom], None] = lambda _: None
    """Passes the headroom on to the workers, which are other processes; called whenever it was written."""
    watches: dict[str, Watch] = field(default_factory=dict, init=False)
    latest: MemoryReading | None = field(default=None, init=False)
    readings: deque[MemoryReading] = field(default_factory=lambda: deque(maxlen=READINGS_KEPT), init=False)
    """Past ones, the oldest first, half a minute apart at least."""

    def __post_init__(self) -> None:
        self._rules = self.settings()
        self._band = LevelBand()
        self._processes = ProcessRelief(self.actions, self.clock.monotonic)
        self._store = StoreRelief(self.actions, self.clock.monotonic, self.lock)
        self._failed_readings: dict[str, int] = {}
        self.metrics.memory_samples_discarded_total.start(*zip(Discard))
        self.metrics.leak_detections_total.start(*((DRILL, tier) for tier in Tier))
        for name in WATCHED:
            self._watch_new(name)

    @property
    def level(self) -> Level:
        """How near memory is to its limit."""
        return self._band.level

    @property
    def blind_spots(self) -> list[str]:
        """What cannot be read for a while now; the parts of the guard that need it do nothing."""
        return sorted(name for name, times in self._failed_readings.items() if times >= FAILED_READINGS)

    @property
    def is_warm(self) -> bool:
        """Whether the gate's warm-up is over."""
        return self.watches["gate"].detector.is_warm

    @property
    def status(self) -> GuardStatus:
        """What the guard says of itself now."""
        return GuardStatus(
            level=self.level,
            refuses_ingest=self.headroom.refuses,
            blind_spots=self.blind_spots,
            processes={name: watch.status for name, watch in self.watches.items()},
            latest=self.latest,
        )

    def read_memory(self) -> MemoryReading:
        """Read everything once, for `tick` and all else that needs the same figures."""
        return read(self.sensors, self.clock.monotonic(), self.clock.wall_ms())

    async def tick(self, reading: MemoryReading) -> None:
        """Take a reading and look for leaks in it; a process that came up since is not judged by it."""
        self._follow_settings()
        self._remember(reading)
        if reading.limit_bytes is None or (reading.pressure_bytes is None and self.blind_spots):
            # Without a limit, or blind, it must not go on refusing traffic.
            self._band = LevelBand()
            self.headroom.refuses = False
            self.publish(self.headroom)
        for name, process in reading.processes.items():
            watch = self.watches.get(name)
            # A worker may have ended and come up again under its name since the reading, while the figures
            # were noted or another process was acted upon: 10 MiB of the old one would make the new one, with
            # 60 MiB, one that grew by 50.
            if watch is not None and watch.since_seconds <= reading.at_seconds:
                await self._watch(watch, process, reading.at_seconds)
        await self._store.relieve_store(reading, self._rules)

    async def check_ceiling(self) -> None:
        """Compare memory with its limit, and free some or refuse ingest when it is near."""
        self._follow_settings()
        before, pressure = self.level, read_pressure(self.sensors)
        if pressure is None:
            self.headroom.room_bytes = None
            self.publish(self.headroom)
            return
        is_new = self._set_level(pressure).number > before.number
        gate_and_workers = [name for name in self.watches if name != "store"]
        if await self._processes.relieve(self.level, gate_and_workers, is_new=is_new):
            pressure = self._read_again(pressure)
        store = self.latest.processes.get("store") if self.latest else None
        if await self._store.relieve_service(pressure, store, self.level, self._rules, is_new=is_new):
            self._read_again(pressure)

    def watch_only(self, workers: Iterable[str]) -> None:
        """Watch these workers, and no others; one that ended and came up again is a new one."""
        names = (*WATCHED, *workers)
        self.watches = {name: watch for name, watch in self.watches.items() if name in names}
        for name in names:
            if name not in self.watches:
                self._watch_new(name)

    def reset(self) -> None:
        """Have every process be watched as if from its start: an operator has looked."""
        for name in self.watches:
            self.forget(name, "reset by an operator")

    def forget(self, process: str, why: str) -> None:
        """Have one process be watched as if from its start, `ok` if it is warm; `why` is for the log."""
        self.watches[process].reset(why)

    def _watch_new(self, name: str) -> None:
        self.metrics.leak_detections_total.start(*((name, tier) for tier in Tier))
        self.actions.start_series(name)
        detector = Detector(_detector_rules(self._rules))
        self.watches[name] = Watch(name, self.clock.monotonic(), detector, self.settings)

    def _follow_settings(self) -> None:
        settings = self.settings()
        if settings is not self._rules:
            self._rules = settings
            for watch in self.watches.values():
                watch.detector.rules = _detector_rules(settings)

    def _remember(self, reading: MemoryReading) -> None:
        if self.latest is None or self.latest.limit != reading.limit:
            bytes_, source = reading.limit or (None, "none")
            log.info("memory limit", limit_bytes=bytes_, source=source)
        self.latest = reading
        kept = self.readings
        if not kept or reading.at_seconds - kept[-1].at_seconds >= KEPT_READING_SECONDS:
            kept.append(reading)
        failed = {name for name, _ in reading.discarded}
        self._failed_readings = {name: self._failed_readings.get(name, 0) + 1 for name in failed}
        for _, reason in reading.discarded:
            self.metrics.memory_samples_discarded_total.labels(reason).inc()

    def _set_level(self, pressure: Pressure) -> Level:
        before = self.level
        level = self._band.tick(pressure.used_bytes, pressure.limit_bytes, self._rules)
        self.headroom.refuses = self._band.refuses_ingest
        self.headroom.room_bytes = max(0, pressure.limit_bytes - pressure.used_bytes)
        self.publish(self.headroom)
        if level is not before:
            write = log.warning if level.number > before.number else log.info
            figures = {"pressure_bytes": pressure.used_bytes, "limit_bytes": pressure.limit_bytes}
            write("memory pressure", old=before, new=level, **figures)
        return level

    def _read_again(self, pressure: Pressure) -> Pressure:
        """Read the pressure after an action and set the level by it; as it was if it cannot be read."""
        pressure = read_pressure(self.sensors) or pressure
        self._set_level(pressure)
        return pressure

    async def _watch(self, watch: Watch, process: ProcessReading, at_seconds: float) -> None:
        figures = (at_seconds, process.rss_bytes, process.all_explained_bytes)
        if watch.awaits_confirmation:
            if watch.confirm(*figures):
                await self._act_on_leak(watch, process, at_seconds)
            return
        finding = watch.tick(*figures)
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

    async def _act_on_leak(self, watch: Watch, process: ProcessReading, at_seconds: float) -> None:
        """Act on a leak that is proven, and have it examined.

        A store that is not ours is not cleaned for it: what grew there is by its nature no entry of the maps,
        and each gate of the store would cut what all of them can look up.
        """
        finding = watch.finding
        if finding is None:
            return
        owner = DRILL if watch.name == "gate" and self.is_leak_drill() else watch.name
        self.metrics.leak_detections_total.labels(owner, finding.tier).inc()
        if watch.may_act():
            if _ends_with_gate(process):
                await self.actions.cut_back(watch.name)
            watch.acted(at_seconds)
        elif self._rules.restart_when_ineffective and owner != DRILL and _ends_with_gate(process):
            self.restart(watch.name)
        self.examine(watch.name, finding, self.actions.last.get(watch.name, {}))


def _ends_with_gate(process: ProcessReading) -> bool:
    """Tell whether a restart of the gate ends this process: a store on its own goes on leaking."""
    return process.name != "store" or process.pid is not None


def _detector_rules(settings: Settings) -> DetectorRules:
    return DetectorRules(
        leak_window_seconds=settings.leak_window_seconds,
        leak_growth_bytes=settings.leak_growth_bytes,
        leak_warmup_seconds=settings.leak_warmup_seconds,
        slow_leak_bytes_per_hour=settings.slow_leak_bytes_per_hour,
        sample_seconds=settings.memory_sample_seconds,
    )
