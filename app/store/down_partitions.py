"""The partitions of a Cluster that cannot be used while others can, as after a master was lost.

A call that fails because of one master says nothing of the others. So its partition alone counts as down, and
calls to it fail at once with the error that took it down; what is in other partitions is served as before.
The store counts as down when all of them are. Each tick asks those that are down too, and brings them back.
"""

import asyncio
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import structlog

from app import errors
from app.store import store_errors
from app.store.server import Server

log = structlog.get_logger()

T = TypeVar("T")
OF_ONE_MASTER = (
    *(errors.StoreUnreachable, errors.StoreInterrupted, errors.StoreTimeout, errors.StoreBusy),
    *(errors.StoreReadOnly, errors.StoreClusterDown),
    *(store_errors.StoreWithoutReplicas, store_errors.StoreCannotSave, store_errors.StoreSlotMoving),
)
"""Failures that say nothing of other masters."""


class DownPartitions:
    """Which partitions are down, by their prefixes, and why."""

    def __init__(self) -> None:
        self.reasons: dict[str, errors.StoreError] = {}
        """Why each that is down is so, by its prefix."""
        self._told = set[str]()

    def sentence(self, server: Server | None) -> str | None:
        """Say how many partitions of the store are down, while others are up; None if none is."""
        reason = next(reversed(self.reasons.values()), None)
        if reason is None or server is None or len(self.reasons) == server.partitions:
            return None
        count = f"{len(self.reasons)} of the store's {server.partitions} partitions"
        return f"{count} are down ({reason.kind}): {reason.advice}"

    def went_down(self, prefix: str, reason: errors.StoreError) -> None:
        """Note that a partition cannot be used; each reason is logged once until all are up again."""
        if reason.advice not in self._told:
            self._told.add(reason.advice)
            log.error("store partly down", kind=reason.kind, error=str(reason), advice=reason.advice)
        self.reasons[prefix] = reason

    def came_up(self, prefix: str) -> None:
        """Note that a partition has answered."""
        if self.reasons.pop(prefix, None) is not None and not self.reasons:
            self._told.clear()
            log.info("store whole again")

    def clear(self) -> None:
        """Forget them: the store is connected anew."""
        self.reasons.clear()
        self._told.clear()


async def settled(calls: Iterable[Awaitable[T]]) -> list[T | Exception]:
    """Wait for all calls; return the result of each, or its error."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
    return outcomes  # type: ignore[return-value]  # the others were raised


async def of_those_that_serve(calls: Iterable[Awaitable[T]]) -> list[T | None]:
    """Wait for calls to several partitions; return None for those whose master cannot be used.

    Raises:
        Exception: none was answered, or one failed for a reason that is not its master's: the first that did.
    """
    outcomes = await settled(calls)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for error in failed:
        if len(failed) == len(outcomes) or not isinstance(error, OF_ONE_MASTER):
            raise error
    return [None if isinstance(outcome, Exception) else outcome for outcome in outcomes]
