"""A task that several wait for: done once for all of them, and not given up with one of them."""

import asyncio
import gc
from typing import Any

import pytest

from app.process.shared_task import SharedNextTask, SharedTask


class Work:
    """Work that ends when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.end: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def do(self) -> str:
        """Wait for the end, and return what it brings."""
        self.begun += 1
        return await self.end


async def test_all_who_wait_at_the_same_time_share_one_run_and_the_next_begins_another() -> None:
    work = Work()
    shared = SharedTask(work.do)
    waiting = [asyncio.create_task(shared.result()) for _ in range(3)]
    await asyncio.sleep(0)
    work.end.set_result("done")
    assert await asyncio.gather(*waiting) == ["done"] * 3
    assert work.begun == 1
    assert await shared.result() == "done"
    assert work.begun == 2


async def test_all_who_come_while_a_run_is_under_way_share_the_next_one() -> None:
    runs = [asyncio.get_running_loop().create_future() for _ in range(2)]
    left = iter(runs)

    async def work() -> str:
        return await next(left)  # a third run would raise

    shared = SharedNextTask(work)
    first = asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    later = [asyncio.create_task(shared.result()) for _ in range(50)]
    await asyncio.sleep(0)
    later[0].cancel()
    runs[0].set_result("old")
    assert await first == "old"
    assert not any(task.done() for task in later[1:])
    runs[1].set_result("new")
    assert await asyncio.gather(*later[1:]) == ["new"] * 49


async def test_one_who_is_cancelled_takes_nothing_from_the_others() -> None:
    work = Work()
    shared = SharedTask(work.do)
    gone, left = asyncio.create_task(shared.result()), asyncio.create_task(shared.result())
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.sleep(0)
    work.end.set_result("done")
    assert await left == "done"
    assert gone.cancelled()
    assert work.begun == 1


async def test_a_failure_that_nobody_waits_for_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    work = Work()
    shared = SharedTask(work.do)
    shared.begin()
    work.end.set_exception(OSError("nobody is told"))
    await shared.wait_ended()
    del shared, work
    gc.collect()
    assert caplog.records == []


async def test_it_is_cancelled_and_waited_for_whether_or_not_it_has_begun() -> None:
    work = Work()
    shared: SharedTask[Any] = SharedTask(work.do)
    shared.cancel()
    await shared.wait_ended()
    task = shared.begin()
    await asyncio.sleep(0)
    shared.cancel()
    await shared.wait_ended()
    assert task.cancelled()
