"""A machine made of numbers: its clock, its memory, and what the guard's actions do to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.errors import StoreUnreachable
from app.guard.actions import Actions
from app.guard.guard import Clock, Guard
from app.guard.leak.finding import Finding
from app.guard.memory_limit import LimitSource, MemoryLimit
from app.guard.memory_reading import MemorySensors
from app.metrics.catalogue import Metrics
from app.models import StoreFigures
from app.settings.model import Settings

MIB = 1024 * 1024
QUICK = {
    "memory_sample_seconds": 1,
    "leak_window_seconds": 20,
    "leak_growth_bytes": 20 * MIB,
    "leak_warmup_seconds": 60,
    "leak_cooldown_seconds": 100,
}


@dataclass
class Machine:
    """A machine that `run` advances; `freed_by_*` is what an action frees, `*_rate` what leaks a second."""

    settings: Settings = field(default_factory=lambda: Settings(**QUICK))  # type: ignore[arg-type]  # all numbers
    now: float = 1000.0
    gate: float = 60.0 * MIB
    store: float = 20.0 * MIB
    gate_rate: float = 0.0
    store_rate: float = 0.0
    workers: dict[str, tuple[int, float]] = field(default_factory=dict)
    """Process id and resident bytes of each worker."""
    in_flight: int = 0
    freed_by_trim: float = 0.0
    freed_by_cleanup: float = 0.0
    freed_by_shedding: float = 0.0
    is_store_down: bool = False
    is_store_ours: bool = True
    """False for a store elsewhere: it has no process here and counts against no limit of ours."""
    store_limit: int | None = None
    """The store's own `maxmemory`."""
    maps: int = 0
    """Bytes of the store that the maps account for."""
    locks: list[bool] = field(default_factory=list)
    """What the next requests for the lock on the store get; True when there are no more."""
    limit: int | None = None
    sensor: Callable[[float], float] = lambda value: value
    actions: list[tuple[float, str]] = field(default_factory=list)
    restarts: list[str] = field(default_factory=list)
    """The processes for which a restart was asked for."""
    examined: list[tuple[str, Finding, Mapping[str, int]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.metrics = Metrics(64, "test")
        sensors = MemorySensors(
            resident=lambda: {
                "gate": (7, self.sensor(self.gate)),
                **self.workers,
                "store": (8 if self.is_store_ours else None, self.store),
            },
            explained=lambda: {"gate": {"in_flight": self.in_flight}, "store": {"maps": self.maps}},
            limit=lambda: MemoryLimit(self.limit, LimitSource.SETTING) if self.limit else None,
            usage=lambda _: self.sensor(self.gate + (self.store if self.is_store_ours else 0)),
            store=lambda: StoreFigures(
                round(self.store), round(self.store), self.store_limit, 0, frozenset()
            ),
        )
        actions = Actions(
            self.metrics,
            resident_bytes=lambda name: round(self.gate if name == "gate" else self.store),
            emergency_cleanup=self._clean,
            trim_store=self._trim_store,
            shrink=self._shrink,
            collect=lambda: None,
            trim=self._trim,
        )
        clock = Clock(lambda: self.now, lambda: round(self.now * 1000))
        self.guard = Guard(
            lambda: self.settings, sensors, actions, self._examine, self.metrics, clock, self._lock
        )
        self.guard.restart = self.restarts.append

    async def run(self, seconds: float) -> None:
        """Let time pass, a sample each second."""
        for _ in range(round(seconds)):
            self.now += 1
            self.gate += self.gate_rate
            self.store += self.store_rate
            await self.guard.tick(self.guard.read_memory())
            await self.guard.check_ceiling()

    async def run_until(self, state: str, name: str = "gate", most_seconds: float = 2000) -> float:
        """Until a process is in a state; the seconds it took."""
        began = self.now
        while self.state(name) != state:
            assert self.now - began < most_seconds, f"still {self.state(name)}"
            await self.run(1)
        return self.now - began

    def state(self, name: str = "gate") -> str:
        return str(self.guard.watches[name].state)

    def floor(self, name: str) -> int:
        return self.guard.status.processes[name].floor_bytes

    def level(self) -> str:
        return str(self.guard.level)

    def refuses(self) -> bool:
        return self.guard.headroom.refuses

    def done(self, action: str) -> int:
        return sum(1 for _, one in self.actions if one == action)

    def counted(self, name: str, **labels: str) -> float:
        return self.metrics.registry.get_sample_value(f"tidegate_{name}", labels) or 0.0

    async def _clean(self, shed: bool) -> None:
        self.actions.append((self.now, "shed" if shed else "emergency_cleanup"))
        if self.is_store_down:
            raise StoreUnreachable("gone")
        self.store -= self.freed_by_shedding if shed else self.freed_by_cleanup

    async def _lock(self, _: float) -> bool:
        return self.locks.pop(0) if self.locks else True

    async def _shrink(self) -> None:
        self.actions.append((self.now, "shrink"))

    async def _trim_store(self) -> None:
        self.actions.append((self.now, "trim_store"))

    def _trim(self) -> None:
        self.actions.append((self.now, "trim"))
        self.gate -= self.freed_by_trim
        self.freed_by_trim = 0

    def _examine(self, process: str, finding: Finding, released: Mapping[str, int]) -> None:
        self.examined.append((process, finding, released))
