"""Gives turns to the bodies that take long to work through.

Each does its work in steps of some milliseconds. Were all to do a step in every turn of the event loop,
sixteen large bodies would make each turn last a fifth of a second, and an ordinary post takes four turns. So
one body does a step, then everybody else is served, then the next body does one, in the order they asked.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

# Others are served after so much work; a step costs as much as so many bytes, however few it yields.
PACE_BYTES = 256 * 1024
_STEP_COST = 1024
# And after so many bytes of items decoded one by one; an item costs as much as so many bytes.
ONE_BY_ONE_BYTES = 128 * 1024
ITEM_COST = 256
ITEMS_A_TURN = ONE_BY_ONE_BYTES // ITEM_COST
"""No more items are decoded one by one in a turn, however short they are."""
LONG_BYTES = 8 * 1024
"""A body that is longer is worked through in a turn of its own: of a hundred that came at once, each of
500 bytes inflating to 240 KiB of `"slot":1,`, each takes 12 ms, and all stopped others for 1.5 s."""

_Item = TypeVar("_Item")
Turn = Callable[[], Awaitable[None]]
"""Waits for the turn of a body."""


class _Turns:
    """The bodies that wait for their turn in one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._waiting: deque[asyncio.Future[None]] = deque()

    def ask(self) -> asyncio.Future[None]:
        """Return a future that is done when it is the caller's turn."""
        turn = self.loop.create_future()
        if not self._waiting:
            self.loop.call_soon(self._give)
        self._waiting.append(turn)
        return turn

    def _give(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():  # its request was cancelled
                turn.set_result(None)
                break
        if self._waiting:
            self.loop.call_soon(self._give)


_turns: list[_Turns] = []
"""The turns of the event loop that ran last; a process has one loop, and the tests have many."""


async def next_turn() -> None:
    """Wait for this body's turn; called before each step of work that takes longer than a small post."""
    loop = asyncio.get_running_loop()
    if not _turns or _turns[0].loop is not loop:
        _turns[:] = [_Turns(loop)]
    await _turns[0].ask()


def _stay() -> None:
    """Go on, whoever waits for the answer."""


class Pacer:
    """The turns of one body: it lets others be served after every 256 KiB of work.

    `check` is called when a turn has come, and raises if there is nobody left to do the work for.
    """

    def __init__(self, check: Callable[[], None] = _stay) -> None:
        self._spent = 0
        self._check = check

    async def turn(self) -> None:
        """Wait for this body's turn (`next_turn`)."""
        await next_turn()
        self._check()

    def count(self, amount: int) -> None:
        """Count work that was done beside that of a step; the next step pays for it."""
        self._spent += amount

    async def spend(self, amount: int) -> None:
        """Count a step that looked at so many bytes, and after 256 KiB let others be served."""
        self._spent += amount + _STEP_COST
        if self._spent > PACE_BYTES:
            self._spent = 0
            await self.turn()


async def portions(items: Sequence[_Item], size: int) -> AsyncIterator[Sequence[_Item]]:
    """Yield the items in their order, so many at a time; others are served between two portions."""
    for start in range(0, len(items), size):
        if start:
            await next_turn()
        yield items[start : start + size]


def pieces_of(chunk: bytes, size: int) -> Iterator[bytes]:
    """Yield the bytes in pieces of at most so many; nothing is copied of what is no longer."""
    if len(chunk) <= size:
        yield chunk
        return
    for at in range(0, len(chunk), size):
        yield chunk[at : at + size]
