"""Lets one task wait for whatever comes first: somebody who wakes it, or the time."""

import asyncio


class Waiter:
    """A task waits, others wake it; to be woken while it does something else is not lost."""

    __slots__ = ("_future", "_is_woken")

    def __init__(self) -> None:
        self._future: asyncio.Future[None] | None = None
        self._is_woken = False

    def wake(self) -> bool:
        """Let `wait` return, now or when it is called next; False if it was going to anyway."""
        was_woken, self._is_woken = self._is_woken, True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)
        return not was_woken

    async def wait(self, seconds: float | None = None) -> None:
        """Wait until woken, so many seconds at most."""
        if not self._is_woken and (seconds is None or seconds > 0):
            loop = asyncio.get_running_loop()
            self._future = loop.create_future()
            timer = None if seconds is None else loop.call_later(seconds, self.wake)
            try:
                await self._future
            finally:
                self._future = None
                if timer is not None:
                    timer.cancel()
        self._is_woken = False
