"""Begins a drill when it is safe, looks after it, and ends it: one at a time, in this process alone.

Nothing of a drill is written down anywhere, so a gate that is started again has none. For example, of a drill
`full` with the rules as they are shipped:

    0 s     begun: tidegate_drill_active{drill="full"} is 1, tidegate_drill_map_fill_ratio is 0.95
    15 s    Prometheus has scraped it
    60 s    TidegateDrillFull fires, Alertmanager posts it to /alerts, and a cleanup is run for it
    60 s    the cleanup is seen here: the drill is over, "answered"
    90 s    the alert has no series any more, and is resolved
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import structlog
from pydantic import Field

from app.cleanup.run import Cleanup
from app.drills.effects import DrillEffects
from app.drills.kinds import (
    FILL_RATIO,
    DrillEnd,
    DrillKind,
    DrillOrder,
    DrillRefused,
    alerts_of,
    effect_of,
    pressure_share,
)
from app.drills.leak import RetainedBytes
from app.guard.diagnosis.examiner import Examiner
from app.guard.guard import Guard
from app.guard.leak.finding import LeakState
from app.guard.status import Level
from app.models import JsonModel, MapName, Trigger, WarningKey, WarningName

log = structlog.get_logger()

DRILLS_KEPT = 10
GATE = "gate"
MIB = 1024 * 1024
NO_FILL: Mapping[MapName, float] = MappingProxyType({})


class DrillView(JsonModel):
    """One drill, as it is or was."""

    order: DrillOrder
    started_ms: int = Field(description="Milliseconds since the epoch, by the gate's clock.")
    seconds_left: float
    effect: str
    alerts: list[str] = Field(description="What it raises by the shipped rules.")
    end: DrillEnd | None = Field(description="How it ended; null while it is on.")


class DrillsView(JsonModel):
    """The drill that is on, if any, and the last ones, newest first."""

    active: DrillView | None
    past: list[DrillView]


@dataclass(frozen=True)
class DrillSurroundings:
    """What drills look at, and whom they tell."""

    guard: Guard
    examiner: Examiner
    cleanup: Cleanup
    is_store_up: Callable[[], bool]
    publish_store_down: Callable[[float], None]
    """Tells the workers until when their store is to be taken for unreachable, on the monotonic clock."""
    wall_ms: Callable[[], int] = lambda: int(time.time() * 1000)


@dataclass
class Drills:
    """Has at most one drill on; all of it ends with this process."""

    effects: DrillEffects
    around: DrillSurroundings
    begun: Counter[DrillKind] = field(default_factory=Counter, init=False)
    past: deque[DrillView] = field(default_factory=lambda: deque(maxlen=DRILLS_KEPT), init=False)
    leaked: RetainedBytes = field(default_factory=RetainedBytes, init=False)
    _active: DrillView | None = field(default=None, init=False)

    @property
    def active(self) -> DrillView | None:
        """The drill that is on, with the time that it has left."""
        if self._active is None:
            return None
        left = max(0.0, self.effects.ends_seconds - self.effects.clock())
        return self._active.model_copy(update={"seconds_left": left})

    @property
    def fill_ratios(self) -> Mapping[MapName, float]:
        """The map that a drill says is near its limit, and how near."""
        active = self._active
        if active is None or active.order.map is None or self.effects.clock() >= self.effects.ends_seconds:
            return NO_FILL
        return {active.order.map: FILL_RATIO}

    def view(self) -> DrillsView:
        """Return the document of `GET /drill`."""
        return DrillsView(active=self.active, past=list(self.past))

    def warnings(self) -> Mapping[WarningKey, str]:
        """Return the sentence in `warnings` of `/stats` while a drill is on."""
        active = self.active
        if active is None:
            return {}
        what = f"A drill is on ({active.order.drill}). {active.effect}"
        ends = f"It ends by itself in {active.seconds_left:.0f} s at most; `tidegate drill stop` ends it now."
        return {WarningKey(WarningName.DRILL): f"{what} {ends}"}

    def begin(self, order: DrillOrder) -> DrillView:
        """Begin a drill.

        Raises:
            DrillRefused: another one is on, or the gate is not well enough for it.
        """
        if self.active is not None and self.active.seconds_left <= 0:
            self._end(DrillEnd.TIME)
        self._refuse_unless_safe(order)
        settings = self.around.guard.settings()
        self._active = DrillView(
            order=order,
            started_ms=self.around.wall_ms(),
            seconds_left=order.seconds,
            effect=effect_of(order, settings),
            alerts=alerts_of(order),
            end=None,
        )
        self.begun[order.drill] += 1
        self.effects.share = pressure_share(settings, refuse_ingest=order.refuse_ingest)
        self.effects.kind, self.effects.ends_seconds = order.drill, self.effects.clock() + order.seconds
        if order.drill is DrillKind.STORE_DOWN:
            self.around.publish_store_down(self.effects.ends_seconds)
        log.warning("drill begun", **order.model_dump(mode="json", exclude_none=True))
        return self._active

    def stop(self) -> None:
        """End the drill that is on, if there is one."""
        self._end(DrillEnd.STOPPED)

    async def tick(self) -> None:
        """Look after the drill that is on: let its leak grow, and end it when it is due."""
        active = self.active
        if active is None:
            return
        if active.seconds_left <= 0:
            self._end(DrillEnd.TIME)
        elif active.order.bytes is not None and self.around.guard.level is not Level.NORMAL:
            self._end(DrillEnd.MEMORY)
        elif self._is_answered(active):
            self._end(DrillEnd.ANSWERED)
        elif active.order.bytes is not None:
            share = 1 - active.seconds_left / active.order.seconds
            self.leaked.grow_to(share * active.order.bytes)

    def _is_answered(self, active: DrillView) -> bool:
        """Tell whether what a drill is for has happened; of `pressure` and `store-down` only people know."""
        if active.order.map is not None:
            return any(
                report.trigger is Trigger.ALERT
                and report.started_ms >= active.started_ms
                and active.order.map in report.maps
                for report in self.around.cleanup.reports
            )
        if active.order.drill is DrillKind.LEAK:
            found = self.around.examiner.diagnoses
            return any(one.process == GATE and one.detected_ms >= active.started_ms for one in found)
        return False

    def _end(self, how: DrillEnd) -> None:
        active = self.active
        if active is None:
            return
        self._active = None
        self.effects.clear()
        if active.order.drill is DrillKind.STORE_DOWN:
            self.around.publish_store_down(self.effects.ends_seconds)
        if active.order.drill is DrillKind.LEAK:
            self.leaked.free()
            # What the drill has shown the detector is no leak of this process, nor are actions for it.
            self.around.guard.forget(GATE, "a drill is over")
        self.past.appendleft(active.model_copy(update={"end": how}))
        log.warning("drill over", drill=active.order.drill, end=how)

    def _refuse_unless_safe(self, order: DrillOrder) -> None:
        on = self.active
        if on is not None:
            raise DrillRefused(
                f"a drill is on ({on.order.drill}) for {on.seconds_left:.0f} s at most; DELETE /drill ends it"
            )
        guard = self.around.guard
        if order.drill in (DrillKind.FULL, DrillKind.STORE_DOWN) and not self.around.is_store_up():
            raise DrillRefused("the store is down, and that is no drill")
        if order.drill in (DrillKind.LEAK, DrillKind.PRESSURE) and guard.level is not Level.NORMAL:
            raise DrillRefused(f"memory is near its limit already ({guard.level}); see GET /memory")
        if order.drill is DrillKind.PRESSURE and not guard.read_memory().limit_bytes:
            raise DrillRefused("there is no memory limit to come near; set TIDEGATE_MEMORY_LIMIT_BYTES")
        if order.drill is DrillKind.LEAK:
            self._refuse_leak_unless_safe(order.bytes or 0)

    def _refuse_leak_unless_safe(self, wanted: int) -> None:
        guard = self.around.guard
        state = guard.watches[GATE].state
        if state is not LeakState.OK:
            why = "warm-up is over (TIDEGATE_LEAK_WARMUP_SECONDS)" if state is LeakState.WARMUP else "is ok"
            raise DrillRefused(f"the guard's state is {state}; a drill can begin once its {why}")
        reading = guard.read_memory()
        if reading.limit_bytes is None or reading.pressure_bytes is None:
            return
        room = int(guard.settings().memory_soft_ratio * reading.limit_bytes) - reading.pressure_bytes
        if wanted > room:
            raise DrillRefused(
                f"{wanted // MIB} MiB would bring memory to its soft limit, {max(0, room) // MIB} MiB would "
                "not; ask for fewer bytes, or lower TIDEGATE_LEAK_GROWTH_BYTES for the drill"
            )
