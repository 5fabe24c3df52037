"""Which memory limit holds, what is compared with it, and that the log says so."""

from pathlib import Path

import psutil
import pytest
from structlog.testing import capture_logs

from app.guard.memory_limit import LimitSource, MemoryLimit
from app.guard.memory_reading import read, read_pressure
from app.guard.memory_sensors import ServiceMemory
from app.models import StoreFigures
from app.process.control_groups import Cgroup, find_cgroup
from app.process.resident_memory import Processes, machine_bytes
from app.settings.model import Settings
from tests.support.guarded_machine import Machine

MIB = 1024 * 1024
MACHINE_BYTES = 1000 * MIB
EMBEDDED = {"gate": 80, "worker-1": 70, "worker-2": 60, "store": 40}
EXTERNAL = {"gate": 80, "worker-1": 70, "worker-2": 60}


class GivenProcesses(Processes):
    """Processes of so many MiB each."""

    def __init__(self, mib: dict[str, int]) -> None:
        super().__init__(lambda: None)
        self._mib = mib

    def read(self) -> dict[str, tuple[int, int]]:
        return {name: (pid, mib * MIB) for pid, (name, mib) in enumerate(self._mib.items(), 1)}


def group(folder: Path) -> Cgroup | None:
    """A control group with a limit of 300 MiB, of which 290 are used."""
    (folder / "memory.max").write_text(str(300 * MIB))
    (folder / "memory.current").write_text(str(290 * MIB))
    (folder / "memory.stat").write_text("anon 1\n")
    (folder / "membership").write_text("0::/\n")
    return find_cgroup(folder, folder / "membership")


def service(mib: dict[str, int], cgroup: Cgroup | None = None, **settings: float) -> ServiceMemory:
    given = Settings(**settings)  # type: ignore[arg-type]  # all numbers
    figures = StoreFigures(900 * MIB, 900 * MIB, None, 0, frozenset())
    return ServiceMemory(
        lambda: given,
        GivenProcesses(mib),
        lambda: figures,
        lambda: 0,
        dict,
        cgroup=cgroup,
        machine_bytes=MACHINE_BYTES,
    )


def test_without_any_other_limit_half_of_the_machine_is_the_limit_of_all_processes_together() -> None:
    reading = read(service(EMBEDDED).sensors(), 0, 0)
    assert reading.limit == MemoryLimit(500 * MIB, LimitSource.MACHINE)
    assert reading.pressure_bytes == sum(EMBEDDED.values()) * MIB


def test_the_machines_memory_is_known_where_proc_shows_processes_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As under a unit with `ProcSubset=pid`."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/nowhere")
    assert machine_bytes() > 64 * MIB


def test_a_store_that_is_not_ours_does_not_count_although_it_may_be_on_this_machine() -> None:
    assert read_pressure(service(EXTERNAL).sensors()) == (210 * MIB, 500 * MIB)


def test_the_share_can_be_set_and_0_is_no_limit() -> None:
    assert read_pressure(service(EMBEDDED, memory_machine_ratio=0.3).sensors()) == (250 * MIB, 300 * MIB)
    sensors = service(EMBEDDED, memory_machine_ratio=0).sensors()
    reading = read(sensors, 0, 0)
    assert (reading.limit, reading.limit_bytes, reading.limit_source) == (None, None, None)
    assert read_pressure(sensors) is None


def test_a_limit_of_the_cgroup_goes_before_it_and_one_that_is_set_before_both(tmp_path: Path) -> None:
    cgroup = group(tmp_path)
    of_cgroup = read(service(EMBEDDED, cgroup).sensors(), 0, 0)
    assert of_cgroup.limit == MemoryLimit(300 * MIB, LimitSource.CGROUP)
    assert of_cgroup.pressure_bytes == 290 * MIB, "as the kernel counts"
    of_setting = read(service(EMBEDDED, cgroup, memory_limit_bytes=700 * MIB).sensors(), 0, 0)
    assert of_setting.limit == MemoryLimit(700 * MIB, LimitSource.SETTING)
    assert of_setting.pressure_bytes == 250 * MIB


def test_a_drill_claims_its_share_of_the_machines_limit_too() -> None:
    memory = service(EMBEDDED)
    memory.claimed_share = lambda: 0.85
    assert read_pressure(memory.sensors()) == (425 * MIB, 500 * MIB)


async def test_the_log_says_at_the_start_which_limit_holds_and_again_when_it_changes() -> None:
    machine = Machine(limit=200 * MIB)
    with capture_logs() as logs:
        await machine.run(3)
        machine.limit = None
        await machine.run(3)
    told = [(one["limit_bytes"], one["source"]) for one in logs if one["event"] == "memory limit"]
    assert told == [(200 * MIB, "setting"), (None, "none")]


@pytest.mark.parametrize(("gate_mib", "level"), [(60, "normal"), (80, "soft"), (95, "hard")])
async def test_levels_are_shares_of_the_limit_wherever_it_comes_from(gate_mib: int, level: str) -> None:
    machine = Machine()
    machine.guard.sensors = service({"gate": gate_mib}, memory_machine_ratio=0.1).sensors()
    await machine.run(1)
    assert machine.level() == level
