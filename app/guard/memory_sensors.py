"""Where a running gate's memory figures come from: `/proc`, the control group, the settings and the store.

Memory is explained when something known accounts for it: bodies and queued payloads in flight for the gate
and each worker, the entries of the maps for the store. What connections hold is not counted as explained.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from app.errors import StoreError
from app.guard.memory_limit import MemoryLimit, find_limit
from app.guard.memory_reading import MemorySensors, Resident
from app.models import StoreFigures
from app.process.control_groups import Cgroup, find_cgroup
from app.process.resident_memory import Processes, machine_bytes
from app.settings.model import Settings


@dataclass
class ServiceMemory:
    """Reads the memory of the gate, its workers and its store on this machine; each function reads anew."""

    settings: Callable[[], Settings]
    processes: Processes
    store: Callable[[], StoreFigures | None]
    """May raise StoreError, of a store that withholds figures which it gave before."""
    maps_bytes: Callable[[], int]
    """Bytes of the store that the maps account for."""
    in_flight_bytes: Callable[[], Mapping[str, int]]
    """Bytes of bodies and of queued payloads, by the name of the process that holds them."""
    claimed_share: Callable[[], float] = lambda: 0.0
    """The share of the limit that a drill says is used; what is used beyond it counts all the same."""
    cgroup: Cgroup | None = field(default_factory=find_cgroup)
    machine_bytes: int = field(default_factory=machine_bytes)

    def sensors(self) -> MemorySensors:
        """The functions that a reading is made with."""
        return MemorySensors(self._resident, self._explained, self._limit, self._usage_bytes, self.store)

    def resident_bytes(self, process: str) -> int:
        """Read the resident bytes of one process; 0 when it does not run."""
        resident = self.processes.rss_bytes_of(process)
        return self._used_by_store() if resident is None and process == "store" else resident or 0

    def _resident(self) -> Resident:
        found: dict[str, tuple[int | None, float]] = dict(self.processes.read())
        if "store" not in found and self._store_figures() is not None:
            found["store"] = (None, self._used_by_store())
        return found

    def _used_by_store(self) -> int:
        """What a store that is not the service's uses by its own figures: it may be on another machine."""
        figures = self._store_figures()
        return figures.used_bytes if figures else 0

    def _store_figures(self) -> StoreFigures | None:
        try:
            return self.store()
        except StoreError:
            return None

    def _explained(self) -> dict[str, dict[str, int]]:
        in_flight = {name: {"in_flight": held} for name, held in self.in_flight_bytes().items()}
        return {**in_flight, "store": {"maps": self.maps_bytes()}}

    def _limit(self) -> MemoryLimit | None:
        settings = self.settings()
        return find_limit(
            setting=settings.memory_limit_bytes,
            cgroup=self.cgroup.limit_bytes if self.cgroup else None,
            machine_share=int(settings.memory_machine_ratio * self.machine_bytes),
        )

    def _usage_bytes(self, resident: Resident | None) -> float:
        limit = self._limit()
        return max(self._used_bytes(resident), self.claimed_share() * limit.bytes if limit else 0)

    def _used_bytes(self, resident: Resident | None) -> float:
        """A limit of the group is compared with what counts against it; any other with our processes."""
        if self.cgroup is not None and self.settings().memory_limit_bytes is None:
            return self.cgroup.usage_bytes()
        if resident is None:
            return self.processes.total_bytes()
        return sum(held for pid, held in resident.values() if pid is not None)
