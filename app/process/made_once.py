"""A value that takes long to make and never changes: made at its first use, and kept."""

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

from app.process.shared_task import SharedTask

Made = TypeVar("Made")


class MadeOnce(Generic[Made]):
    """Makes something in a thread when it is asked for first, and keeps it.

    The OpenAPI document takes 290 ms of processor time. While it is made, the event loop serves others. Once
    it is there, nobody waits for a thread: requests that did would hold their places meanwhile.
    """

    def __init__(self, make: Callable[[], Made]) -> None:
        self._made: tuple[()] | tuple[Made] = ()
        self._making = SharedTask(lambda: asyncio.to_thread(make))

    async def get(self) -> Made:
        """Return what is made once; raises what making it raises, and the next call tries again."""
        if not self._made:
            self._made = (await self._making.result(),)
        return self._made[0]
