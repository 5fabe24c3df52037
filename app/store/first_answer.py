"""Asks several nodes the same, and takes the first answer, so that one that is gone delays nothing."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from app.process.shared_task import note_end

T = TypeVar("T")


async def first_answer(asks: Sequence[Callable[[], Coroutine[Any, Any, T]]], seconds: float) -> T:
    """Return the first answer; the next one is asked when one fails, or keeps silent for a while.

    Of six nodes two are gone, and what is sent to them gets lost. With a second for all, the third is asked
    after a sixth of it, and answers at once. A node that is well is asked alone, mostly.

    Raises:
        Exception: none answered within so many seconds; what the last one did that failed, or TimeoutError.
    """
    left, asked = deque(asks), set[asyncio.Task[T]]()
    pause = seconds / (2 * len(asks))  # all are asked in the first half of the time
    problem: BaseException | None = None
    try:
        async with asyncio.timeout(seconds):
            while left or asked:
                if left:
                    task = asyncio.create_task(left.popleft()())
                    task.add_done_callback(note_end)
                    asked.add(task)
                done, asked = await asyncio.wait(
                    asked, timeout=pause if left else None, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    if (problem := task.exception()) is None:
                        return task.result()
    except TimeoutError:
        if problem is None:
            raise
    finally:
        for task in asked:
            task.cancel()
    raise problem or ValueError("nobody was to be asked")
