"""Gates whose clock and figures a test sets, and which record them in a real store."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.guard.guard import Clock
from app.metrics.catalogue import SECONDS_BUCKETS, Metrics
from app.models import MapName, MapSizes, Mode, Reason, StoreFigures, TransactionOutcome
from app.reports.history_file import HistoryFile
from app.reports.make_report import Reports
from app.reports.recorder import Figures, GuardFigures, Recorder
from app.reports.samples import MapSample, ProcessSample, Sample, Work, encoded
from app.settings.model import Settings
from app.store.connector import StoreConnector
from app.store.history import StoredSamples
from app.store.maps import Maps
from app.store.session import StoreSession
from app.store.settings_in_force import LiveSettings
from tests.support.servers import StoreServer

MB = 1_000_000
MINUTE, HOUR = 60.0, 3600.0
WARMUP_SECONDS = 1800.0
NOON_MS = int(datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp() * 1000)


@dataclass
class Hands:
    """A clock that goes when it is told to; the wall can be set apart from it."""

    seconds: float = 0.0
    wall_ms: int = NOON_MS

    def go(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds
        self.wall_ms += round(seconds * 1000)

    @property
    def clock(self) -> Clock:
        """What reads it."""
        return Clock(lambda: self.seconds, lambda: self.wall_ms)


def work_of(
    posts: Sequence[int] = (), *, cleanups: int = 0, cleanup_seconds: float = 0.0, **outcomes: int
) -> Work:
    """What a gate did: `accepted=…` and so on, posts by the buckets of how long they took, and cleanups."""
    latencies = [*posts, *(0 for _ in range(len(SECONDS_BUCKETS) + 1 - len(posts)))]
    return Work([outcomes.get(one, 0) for one in TransactionOutcome], latencies, cleanups, cleanup_seconds)


@dataclass
class Machine:
    """The figures of a gate, as a test wants them."""

    rss: dict[str, tuple[int, int]] = field(
        default_factory=lambda: {"gate": (100, 60 * MB), "store": (101, 20 * MB)}
    )
    sizes: dict[MapName, MapSizes] = field(default_factory=lambda: dict.fromkeys(MapName, sizes_of()))
    shared_store: StoreFigures | None = None
    runs: dict[Mode, int] = field(default_factory=lambda: dict.fromkeys(Mode, 0))
    guard: GuardFigures = field(default_factory=lambda: GuardFigures("normal", "ok", {}))
    work: Work = field(default_factory=work_of)

    def figures(self, live: LiveSettings) -> Figures:
        """What the recorder reads."""
        return Figures(
            processes=lambda: self.rss,
            store=lambda: self.shared_store,
            maps=lambda: self.sizes,
            rules=lambda: live.rules,
            runs=lambda: self.runs,
            guard=lambda: self.guard,
            work=lambda: self.work,
        )


@dataclass
class Bench:
    """A store, a clock, and what stands between them."""

    session: StoreSession
    maps: Maps
    live: LiveSettings
    stored: StoredSamples
    hands: Hands
    reports: Reports

    def recorder(
        self, machine: Machine, gate: str = "host-a:8000", file: HistoryFile | None = None
    ) -> Recorder:
        """A gate that starts now."""
        figures, is_up = machine.figures(self.live), lambda: self.session.is_up
        return Recorder(gate, figures, self.stored, is_up, self.hands.clock, file)

    async def minutes(self, count: int, recorder: Recorder) -> None:
        """Let a gate run and record."""
        for _ in range(count):
            self.hands.go(MINUTE)
            await recorder.record()


@asynccontextmanager
async def bench(settings: Settings) -> AsyncIterator[Bench]:
    """Connected to the store of the settings; closed in the end."""
    session = StoreSession(
        StoreConnector(settings.store_url or "", settings.store_deadline_seconds), Metrics(64, "test")
    )
    live, hands = LiveSettings(settings), Hands()
    maps = Maps(session, live.layout)
    await session.probe(maps.sizes)
    assert session.is_up, session.down_reason
    stored = StoredSamples(session, lambda: maps.layout)
    reports = Reports(stored, lambda: WARMUP_SECONDS, lambda: hands.wall_ms, "1.2.3")
    yield Bench(session, maps, live, stored, hands, reports)
    await session.close()


def sizes_of(entries: int = 0, added: int = 0, **totals: int) -> MapSizes:
    """Figures of one map; `expired=…`, `due=…`, `on_time=…`, `bytes=…`, all others 0."""
    removed = {reason: totals.get(reason, 0) for reason in Reason}
    return MapSizes(
        entries=entries,
        bytes=totals.get("bytes", 17 * entries),
        added=added,
        removed=removed,
        oldest_age_seconds=None,
        due=totals.get("due", 0),
        on_time=totals.get("on_time", 0),
    )


def busy_sample(minute: int) -> bytes:
    """A sample of a gate that takes in 10,000 transactions a second, for days."""
    added = 600_000 * minute
    one = MapSample(
        50_000, 52_000, 800_000, 40_000_000, (added - 50_000, 1000, 0, 0), added - 50_000, 100_000
    )
    return encoded(
        Sample(
            taken_ms=NOON_MS + 60_000 * minute,
            started_ms=NOON_MS,
            uptime_seconds=60.1 * minute,
            processes=[
                ProcessSample("gate", 4_000_000, 90 * MB),
                ProcessSample("store", 4_000_001, 200 * MB),
            ],
            store_used_bytes=200 * MB,
            maps=(one, one, one),
            normal_runs=14 * minute,
            emergency_runs=3,
            leak_detections={"gate": 1},
            level="normal",
            leak_state="warmup",
            work=work_of(
                [20_000] * 13, accepted=600_000, duplicate=600_000, cleanups=14, cleanup_seconds=1.2345
            ),
            limit_bytes=2**31,
        )
    )


def history_keys(server: StoreServer) -> list[str]:
    """The keys of histories, of all masters."""
    return sorted(key.decode() for node in server.nodes() for key in node.scan_iter("*history*"))
