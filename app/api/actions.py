"""What a request has begun is waited for: it is not answered as refused because the gate stops meanwhile."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from app.errors import OutcomeUnknown, StoreError

_Result = TypeVar("_Result")
CUT_OFF = "the gate stopped before the end of this, and some or all of it may be done; sent again it is safe"


async def to_its_end(action: Coroutine[Any, Any, _Result]) -> _Result:
    """Carry out an action and wait for its end, also when the server's patience with the request has ended.

    The server cancels a request some seconds after a stop. The store is closed soon after, which ends
    whatever still waits for it.

    Raises:
        OutcomeUnknown: the stop has cut the action off.
    """
    task, is_stopping = asyncio.create_task(action), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_stopping = True
    if task.cancelled() or (is_stopping and isinstance(task.exception(), StoreError)):
        raise OutcomeUnknown(CUT_OFF)
    return task.result()
