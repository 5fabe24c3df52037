"""The metrics of drills: whether one is on, how many were begun, and what a drill says of a map."""

from collections.abc import Iterable

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from app.drills.drills import Drills
from app.drills.kinds import DrillKind
from app.metrics.families import counter, gauge


class DrillCollector(Collector):
    """Exports what there is to say of drills; a fill ratio only while a drill claims one."""

    def __init__(self, drills: Drills) -> None:
        self._drills = drills

    def collect(self) -> Iterable[Metric]:
        """Yield all families."""
        active = self._drills.active
        on = gauge("drill_active", "1 while a drill is on", "drill")
        begun = counter("drills", "Drills begun", "drill")
        fill = gauge("drill_map_fill_ratio", "What a drill says of a map; no series without one", "map")
        for kind in DrillKind:
            on.add_metric([kind], active is not None and active.order.drill is kind)
            begun.add_metric([kind], self._drills.begun[kind])
        for name, ratio in self._drills.fill_ratios.items():
            fill.add_metric([name], ratio)
        return on, begun, fill
