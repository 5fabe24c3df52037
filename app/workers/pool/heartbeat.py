"""Notices a process that runs but answers nothing: its event loop stands still, or it has been stopped."""

from collections.abc import Awaitable, Callable

# A worker that hangs is noticed within two of both, which is ten seconds. Being late is not hanging: one that
# is only busy answers in time, and one answer is enough.
HEARTBEAT_SECONDS, PATIENCE_SECONDS = 1.0, 4.0
MISSED = 2


async def hangs(answers: Callable[[], Awaitable[bool]], stops: Callable[[], Awaitable[bool]]) -> bool:
    """Ask until so many answers in a row are missing; False when `stops`, waited for before each, says so.

    Two are needed because the asker may have stood still itself: what it then finds overdue is no proof.
    """
    missed = 0
    while missed < MISSED:
        if await stops():
            return False
        missed = 0 if await answers() else missed + 1
    return True
