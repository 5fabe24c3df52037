"""Folds the samples of all gates into what a report needs, one gate after the other, in bounded memory."""

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from app.models import MapName
from app.reports.maps_over_period import MapsFold
from app.reports.period import MINUTE_MS, Period
from app.reports.samples import ProcessSample, Sample, UnusableSample, decoded
from app.reports.work_over_period import WorkFold

MOST_EVENTS = 200
LEAK_STATES = frozenset({"leak", "cooldown", "ineffective"})


@dataclass
class Track:
    """The readings of one process from its start to its end, as far as they lie in the period.

    `x_seconds` only goes forward, also when the clock is set back; the process began at `began_seconds`.
    `gate` is None for a store that is no gate's own.
    """

    gate: str | None
    process: str
    pid: int | None
    began_seconds: float
    at_ms: "array[int]" = field(default_factory=lambda: array("q"))
    x_seconds: "array[float]" = field(default_factory=lambda: array("d"))
    rss_bytes: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, at_ms: int, x_seconds: float, rss_bytes: int) -> None:
        """Take one reading."""
        self.at_ms.append(at_ms)
        self.x_seconds.append(x_seconds)
        self.rss_bytes.append(rss_bytes)


@dataclass(frozen=True)
class Event:
    """Something that stands out; `kind` is (store_ or worker_)restart, emergency, leak or pressure."""

    at_ms: int
    gate: str
    kind: str
    text: str


@dataclass
class GateFold:
    """What one gate did in the period."""

    name: str
    first_ms: int = 0
    last_ms: int = 0
    samples: int = 0
    restarts: int = 0
    normal_runs: int = 0
    emergency_runs: int = 0
    leak_detections: dict[str, int] = field(default_factory=dict)
    leak_minutes: int = 0
    limit_bytes: int | None = None
    pressure_minutes: dict[str, int] = field(default_factory=lambda: {"soft": 0, "hard": 0})
    minutes: set[int] = field(default_factory=set)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))


@dataclass
class _Run:
    """A gate from its start to its end; a restart if an earlier run is known."""

    last: Sample | None = None
    tracks: dict[str, Track] = field(default_factory=dict)
    is_restart: bool = False
    is_counted: bool = False


class Fold:
    """Fed with the history of each gate in turn; `loaded_from_ms` is how far back they were read."""

    def __init__(self, period: Period, loaded_from_ms: int) -> None:
        self.period = period
        self._loaded_from_ms = loaded_from_ms
        self.gates: list[GateFold] = []
        self.tracks: list[Track] = []
        self.maps = MapsFold(period)
        self.work = WorkFold(period)
        self.unusable = 0
        self._shared_store: dict[int, tuple[int, int]] = {}

    def add_gate(self, name: str, stored: Iterable[bytes]) -> None:
        """Take a gate's samples, oldest first."""
        gate, runs, seen = GateFold(name), dict[int, _Run](), set[tuple[int, int, float]]()
        self.maps.begin_gate()
        for raw in stored:
            try:
                sample = decoded(raw)
            except UnusableSample:
                self.unusable += 1
                continue
            key = (sample.started_ms, sample.taken_ms, sample.uptime_seconds)
            if key not in seen:
                seen.add(key)
                self._add(gate, runs.setdefault(sample.started_ms, _Run(is_restart=bool(runs))), sample)
        self.maps.end_gate()
        if gate.samples:
            self.gates.append(gate)

    def latest_events(self) -> list[Event]:
        """Return the latest 200 events of all gates, oldest first."""
        events = (event for gate in self.gates for event in gate.events)
        return sorted(events, key=lambda event: event.at_ms)[-MOST_EVENTS:]

    def finished_tracks(self) -> list[Track]:
        """Return the readings of every process; those of a shared store begin anew with its ledger."""
        shared, resets = list[Track](), sorted(self.maps.resets_ms)
        for _, (at_ms, rss_bytes) in sorted(self._shared_store.items()):
            is_new = bool(resets) and at_ms >= resets[0]
            while resets and at_ms >= resets[0]:
                resets.pop(0)
            if is_new or not shared:
                began = at_ms / 1000 if is_new else float("-inf")
                shared.append(Track(None, "store", None, began))
            shared[-1].add(at_ms, at_ms / 1000, rss_bytes)
        return [track for track in [*self.tracks, *shared] if track.at_ms]

    def _add(self, gate: GateFold, run: _Run, sample: Sample) -> None:
        is_inside = self.period.has(sample.taken_ms)
        if is_inside:
            self._count(gate, run, sample)
        for process in sample.processes:
            self._add_process(gate, run, sample, process, is_inside)
        if sample.maps is not None:
            self.maps.add(sample.taken_ms, dict(zip(MapName, sample.maps, strict=True)))
        run.last = sample

    def _add_process(
        self, gate: GateFold, run: _Run, sample: Sample, process: ProcessSample, is_inside: bool
    ) -> None:
        if process.pid is None:
            if is_inside:
                minute = sample.taken_ms // MINUTE_MS
                self._shared_store.setdefault(minute, (sample.taken_ms, process.rss_bytes))
            return
        track = run.tracks.get(process.name)
        if track is None or track.pid != process.pid:
            began = 0.0 if track is None else sample.uptime_seconds
            if track is not None and is_inside:
                kind = "store_restart" if process.name == "store" else "worker_restart"
                self._note(sample, gate, kind, f"the {process.name} process was started again")
            track = run.tracks[process.name] = Track(gate.name, process.name, process.pid, began)
            self.tracks.append(track)
        if is_inside:
            track.add(sample.taken_ms, sample.uptime_seconds, process.rss_bytes)

    def _count(self, gate: GateFold, run: _Run, sample: Sample) -> None:
        if not run.is_counted:
            run.is_counted = True
            if run.is_restart and run.last is None:
                gate.restarts += 1
                self._note(sample, gate, "restart", "the gate was started again")
        gate.first_ms = min(gate.first_ms or sample.taken_ms, sample.taken_ms)
        gate.last_ms = max(gate.last_ms, sample.taken_ms)
        gate.samples += 1
        gate.minutes.add(sample.taken_ms // MINUTE_MS)
        gate.limit_bytes = sample.limit_bytes
        if sample.work is not None:
            self.work.add(sample.taken_ms, sample.work)
        gate.leak_minutes += sample.leak_state in LEAK_STATES
        if sample.level in gate.pressure_minutes:
            gate.pressure_minutes[sample.level] += 1
        self._count_totals(gate, run, sample)

    def _count_totals(self, gate: GateFold, run: _Run, sample: Sample) -> None:
        """Count by totals, which begin at 0 with a run; of one older than what was read, growth is known."""
        before = run.last
        if before is None and sample.started_ms < self._loaded_from_ms:
            before = sample
        gate.normal_runs += max(0, sample.normal_runs - (before.normal_runs if before else 0))
        emergencies = max(0, sample.emergency_runs - (before.emergency_runs if before else 0))
        if emergencies:
            gate.emergency_runs += emergencies
            self._note(sample, gate, "emergency", _times("emergency cleanup", emergencies))
        for process, total in sample.leak_detections.items():
            leaks = total - (before.leak_detections.get(process, 0) if before else 0)
            if leaks > 0:
                gate.leak_detections[process] = gate.leak_detections.get(process, 0) + leaks
                self._note(sample, gate, "leak", f"leak of the {process} process detected")
        level_before = before.level if before else "normal"
        if sample.level != level_before:
            self._note(
                sample, gate, "pressure", f"memory pressure went from {level_before} to {sample.level}"
            )

    @staticmethod
    def _note(sample: Sample, gate: GateFold, kind: str, text: str) -> None:
        gate.events.append(Event(sample.taken_ms, gate.name, kind, text))


def _times(what: str, count: int) -> str:
    return what if count == 1 else f"{count} times {what}"
