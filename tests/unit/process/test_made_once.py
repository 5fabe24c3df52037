"""What is made once: in a thread, for all who ask meanwhile, and without a wait afterwards."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from app.process.made_once import MadeOnce

pytestmark = pytest.mark.asyncio


async def test_all_who_ask_while_it_is_made_get_the_same_and_later_ones_do_not_wait() -> None:
    may_end, threads = threading.Event(), list[threading.Thread]()

    def make() -> object:
        threads.append(threading.current_thread())
        may_end.wait(60)
        return object()

    once = MadeOnce(make)
    asking = [asyncio.create_task(once.get()) for _ in range(3)]
    await asyncio.sleep(0)
    may_end.set()
    first, *others = await asyncio.gather(*asking)
    assert all(one is first for one in others)
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
    with pytest.raises(StopIteration) as ended:
        once.get().send(None)
    assert ended.value.value is first


async def test_what_could_not_be_made_is_made_for_the_next_who_asks() -> None:
    answers: Iterator[ValueError | str] = iter([ValueError("not yet"), "made"])

    def make() -> str:
        answer = next(answers)
        if isinstance(answer, ValueError):
            raise answer
        return answer

    once = MadeOnce(make)
    with pytest.raises(ValueError, match="not yet"):
        await once.get()
    assert await once.get() == "made"
