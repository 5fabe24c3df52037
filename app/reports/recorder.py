"""Takes a sample a minute and brings it to the store; what could not be stored waits for a few minutes."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from app.guard.guard import Clock
from app.models import MapName, MapSizes, Mode, StoreFigures
from app.reports.history_file import HistoryFile
from app.reports.samples import REASONS, MapSample, ProcessSample, Sample, Work, encoded
from app.store.history import PAGE_SAMPLES, StoredSamples
from app.store.map_rules import MapRule

log = structlog.get_logger()

SAMPLE_SECONDS = 60.0
WAITING_SAMPLES = 10


@dataclass(frozen=True)
class GuardFigures:
    """What the memory guard knows: pressure level, state, leaks since the start by process, and the limit."""

    level: str
    leak_state: str
    leak_detections: Mapping[str, int]
    limit_bytes: int | None = None


@dataclass(frozen=True)
class Figures:
    """Where the figures of a sample come from; `maps` is empty and `store` None until the store was read.

    `work` is what was done since the start.
    """

    processes: Callable[[], Mapping[str, tuple[int, int]]]
    store: Callable[[], StoreFigures | None]
    maps: Callable[[], Mapping[MapName, MapSizes]]
    rules: Callable[[], Mapping[MapName, MapRule]]
    runs: Callable[[], Mapping[Mode, int]]
    guard: Callable[[], GuardFigures]
    work: Callable[[], Work]


@dataclass
class Recorder:
    """Writes the history of one gate."""

    gate: str
    figures: Figures
    stored: StoredSamples
    is_store_up: Callable[[], bool]
    clock: Clock = field(default_factory=Clock)
    file: HistoryFile | None = None
    _waiting: deque[bytes] = field(default_factory=lambda: deque(maxlen=WAITING_SAMPLES), init=False)
    _peaks: dict[MapName, int] = field(default_factory=dict, init=False)
    _has_room: bool = field(default=True, init=False)
    _worked: Work | None = field(default=None, init=False)
    _filled_store: int | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._started = self.clock.monotonic()
        self._started_ms = self.clock.wall_ms()

    def note_peaks(self) -> None:
        """Remember how large the maps are, for the next sample's peaks; called between samples."""
        for name, sizes in self.figures.maps().items():
            self._peaks[name] = max(sizes.entries, self._peaks.get(name, 0))

    async def record(self) -> None:
        """Take a sample and store it, with those that wait.

        Raises:
            StoreError: it waits, as the last ten do.
        """
        self.note_peaks()
        sample = encoded(self._sample())
        self._waiting.append(sample)
        self._peaks.clear()
        if self.file is not None:
            await asyncio.to_thread(self.file.add, sample)
        has_room = await self._store()
        self._waiting.clear()
        if self._has_room and not has_room:
            log.warning("no room for this gate's history: too many gates share the store", gate=self.gate)
        self._has_room = has_room

    async def _store(self) -> bool:
        """Store the samples that wait, and in an embedded store that has just begun all that the file has.

        Raises:
            StoreError: whether they were stored is unknown.
        """
        pid, _ = self.figures.processes().get("store", (None, 0))
        batch = list(self._waiting)
        if self.file is not None and pid != self._filled_store:
            batch = await asyncio.to_thread(self.file.read, self.clock.wall_ms()) or batch
        has_room = True
        for start in range(0, len(batch), PAGE_SAMPLES):
            has_room = await self.stored.add(self.gate, batch[start : start + PAGE_SAMPLES])
        self._filled_store = pid
        return has_room

    def _sample(self) -> Sample:
        store, guard, runs = self.figures.store(), self.figures.guard(), self.figures.runs()
        worked, before = self.figures.work(), self._worked
        self._worked = worked
        return Sample(
            taken_ms=self.clock.wall_ms(),
            started_ms=self._started_ms,
            uptime_seconds=round(self.clock.monotonic() - self._started, 1),
            processes=self._processes(store),
            store_used_bytes=store.used_bytes if store else None,
            maps=self._maps(),
            normal_runs=runs[Mode.NORMAL],
            emergency_runs=runs[Mode.EMERGENCY],
            leak_detections={process: n for process, n in guard.leak_detections.items() if n},
            level=guard.level,
            leak_state=guard.leak_state,
            work=worked.since(before),
            limit_bytes=guard.limit_bytes,
        )

    def _processes(self, store: StoreFigures | None) -> list[ProcessSample]:
        found = [ProcessSample(name, pid, rss) for name, (pid, rss) in self.figures.processes().items()]
        is_ours = any(process.name == "store" for process in found)
        if not is_ours and store is not None and self.is_store_up():
            found.append(ProcessSample("store", None, store.rss_bytes))
        return found

    def _maps(self) -> tuple[MapSample, MapSample, MapSample] | None:
        sizes = self.figures.maps()
        if not sizes or not self.is_store_up():
            return None
        rules = self.figures.rules()
        signatures, transactions, observations = (
            _map_sample(sizes[name], self._peaks.get(name, 0), rules[name]) for name in MapName
        )
        return signatures, transactions, observations


def _map_sample(sizes: MapSizes, peak: int, rule: MapRule) -> MapSample:
    expired, emergency, manual, capacity = (sizes.removed[reason] for reason in REASONS)
    return MapSample(
        entries=sizes.entries,
        peak_entries=peak,
        warn_entries=rule.warn_entries,
        bytes=sizes.bytes,
        removed=(expired, emergency, manual, capacity),
        due=sizes.due,
        late=max(0, sizes.due - sizes.on_time),
    )
