"""Figures computed from readings: efficiency over an hour, memory limits, background rounds."""

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import StoreTimeout
from app.metrics.catalogue import Metrics
from app.models import MapName, MapSizes, Reason
from app.process.resident_memory import Processes, rss_bytes
from app.store.latest_figures import HOUR_SECONDS, NO_SIZES, Sizes
from app.store.partition_sizes import PartitionSizes
from app.tasks import Tasks


class Hour:
    """Totals of due entries and a clock, as a test sets them."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due = self.on_time = 0
        self.figures = Sizes(self.partitions, self.info, lambda _: None, clock=lambda: self.now)

    async def partitions(self) -> list[PartitionSizes]:
        totals = MapSizes(0, 0, 0, dict.fromkeys(Reason, 0), None, self.due, self.on_time)
        maps = dict.fromkeys(MapName, NO_SIZES) | {MapName.TRANSACTIONS: totals}
        return [PartitionSizes("tidegate:{0}", 0, 1, False, maps, {}, {})]

    async def info(self, *sections: str) -> list[dict[str, Any]]:
        raise AssertionError(f"nobody asks for {sections}")

    async def ratio_after(self, seconds: float, due: int, on_time: int) -> float | None:
        self.now += seconds
        self.due, self.on_time = self.due + due, self.on_time + on_time
        await self.figures.refresh()
        return self.figures.efficiency_ratio()


async def test_efficiency_is_the_share_removed_in_time_of_what_came_due_in_the_last_hour() -> None:
    hour = Hour()
    assert await hour.ratio_after(0, 0, 0) is None
    assert await hour.ratio_after(1, 100, 100) == 1.0
    assert await hour.ratio_after(60, 100, 50) == 0.75
    for _ in range(HOUR_SECONDS // 60 + 1):
        ratio = await hour.ratio_after(60, 10, 10)
    assert ratio == 1.0, "what came due more than an hour ago no longer counts"


async def test_efficiency_begins_anew_when_the_ledger_does() -> None:
    hour = Hour()
    await hour.ratio_after(0, 500, 400)
    await hour.ratio_after(61, 100, 100)
    hour.due = hour.on_time = 0
    assert await hour.ratio_after(61, 0, 0) is None
    assert await hour.ratio_after(1, 10, 10) == 1.0


class Masters:
    """What `INFO` of each master says, as a test sets it."""

    def __init__(self) -> None:
        self.evicted: dict[str, int] = {}
        self.figures = Sizes(self.partitions, self.info, lambda _: None)

    async def partitions(self) -> list[PartitionSizes]:
        raise AssertionError("nobody asks for the maps")

    async def info(self, *sections: str) -> list[dict[str, Any]]:
        assert sections == ("server", "memory", "stats")
        return [{"run_id": run, "evicted_keys": n, "used_memory": 1} for run, n in self.evicted.items()]

    async def evicted_after(self, **evicted: int) -> int:
        self.evicted = evicted
        await self.figures.refresh_store()
        assert self.figures.store is not None
        return self.figures.store.evicted_keys


async def test_evicted_keys_are_those_since_the_gate_looked_and_never_fall() -> None:
    masters = Masters()
    assert await masters.evicted_after(a=9_000, b=0) == 0
    assert await masters.evicted_after(a=9_005, b=1) == 6
    assert await masters.evicted_after(a=9_005, c=300) == 6, "c took the place of b, and evicted those before"
    assert await masters.evicted_after(a=9_005, c=302) == 8


def test_a_process_that_is_gone_has_no_memory_figure() -> None:
    assert rss_bytes(None) is None
    assert rss_bytes(2**22 + 1) is None
    assert set(Processes(lambda: 2**22 + 1).read()) == {"gate"}


async def test_a_round_whose_own_work_was_cancelled_by_somebody_else_is_followed_by_the_next() -> None:
    tasks, rounds = Tasks(Metrics(64, "test")), 0

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise asyncio.CancelledError

    with capture_logs() as logs:
        assert not await tasks.once("t", work)
        assert await tasks.once("t", work)
    assert [entry["event"] for entry in logs] == ["background task failed"]


async def test_a_round_that_fails_is_logged_counted_and_followed_by_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("app.tasks.FAILED_PAUSE_SECONDS", 0.001)
    metrics = Metrics(64, "test")
    tasks, rounds = Tasks(metrics), 0
    enough = asyncio.Event()

    async def work() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == 1:
            raise RuntimeError("first round")
        if rounds == 2:
            assert metrics.registry.get_sample_value("tidegate_background_task_up", {"task": "t"}) == 0
            raise StoreTimeout("second round")
        if rounds == 4:
            enough.set()

    with capture_logs() as logs:
        tasks.every(0.001, "t", work)
        await asyncio.wait_for(enough.wait(), 30)
        await tasks.stop()
    assert metrics.registry.get_sample_value("tidegate_background_task_up", {"task": "t"}) == 1
    assert [entry["event"] for entry in logs] == ["background task failed"]


async def test_a_policy_that_info_leaves_out_is_not_taken_for_one_that_evicts_nothing() -> None:
    masters = Masters()
    await masters.evicted_after(a=0)
    assert masters.figures.store is not None
    assert (masters.figures.store.may_evict, masters.figures.store.evicting_policies) == (None, frozenset())
