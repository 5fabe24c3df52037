"""The partitions of a Cluster that cannot be used while others can, as after a master was lost.

A call that fails because of one master says nothing of the others. So its partition alone counts as down, and
calls to it fail at once with the error that took it down; what is in other partitions is served as before.
The store counts as down when all of them are. Each tick asks those that are down too, and brings them back.

A partition whose slot is moved for longer than a call may take counts as down as well, but calls to it go on:
each needs other keys, and some may be where they are looked for. So one that is answered proves little. The
partition is up again when it is answered and nothing was refused for ten seconds, in which the ticks have
looked at every key of it (`Maps.partitions`). If somebody broke the move off, that is after it was repaired.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Protocol, TypeVar

import structlog

from app import errors
from app.store import store_errors
from app.store.partitions import key_slot
from app.store.server_identity import Server

log = structlog.get_logger()

T = TypeVar("T")
OF_ONE_MASTER = (
    *(errors.StoreUnreachable, errors.StoreInterrupted, errors.StoreTimeout, errors.StoreBusy),
    *(errors.StoreReadOnly, errors.StoreClusterDown, errors.StoreDenied),
    *(store_errors.StoreWithoutReplicas, store_errors.StoreCannotSave, store_errors.StoreSlotMoving),
)
"""Failures that say nothing of other masters."""
ARRIVED_SECONDS = 10.0


class DownPartitions:
    """Which partitions are down, by their prefixes, and why."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.reasons: dict[str, errors.StoreError] = {}
        """Why calls to a partition are to fail at once, by its prefix."""
        self.moving: dict[str, float] = {}
        """When a call to each was refused last because its slot is moved, by the monotonic clock."""
        self._told = set[tuple[str, str]]()

    def __len__(self) -> int:
        return len(self.reasons.keys() | self.moving.keys())

    @property
    def is_login_denied(self) -> bool:
        """Whether one is down since its master does not let the gate in, whatever command it sends."""
        return any(isinstance(one, errors.StoreDenied) and not one.command for one in self.reasons.values())

    def sentence(self, server: Server | None, *, names_masters: bool = False) -> str | None:
        """Say how many partitions of the store are down and why, while others are up; None if none is."""
        if server is None or not self or len(self.reasons) == server.partitions:
            return None
        said, alike = [], defaultdict[tuple[str, str], list[str]](list)
        for prefix, reason in self.reasons.items():
            alike[reason.kind, reason.advice].append(prefix)
        for (kind, advice), prefixes in alike.items():
            masters = sorted({self.reasons[prefix].master for prefix in prefixes} - {""})
            where = f", on {', '.join(masters)}" if names_masters and masters else ""
            said.append(_sentence(len(prefixes), server, f"({kind}){where}", advice))
        if self.moving:
            slots = ", ".join(str(key_slot(prefix.encode())) for prefix in self.moving)
            moving = store_errors.StoreSlotMoving
            said.append(_sentence(len(self.moving), server, f"({moving.kind}: {slots})", moving.advice))
        return "; ".join(said)

    def went_down(self, prefix: str, reason: errors.StoreError, *, is_store_up: bool) -> None:
        """Note that a partition cannot be used.

        Each reason is logged once until all are up again, and once of each master that denies something. Not
        so while the store as a whole counts as down: that has been said, and `store_came_up` tells the rest.
        """
        self.reasons[prefix] = reason
        if is_store_up:
            self._tell(reason)

    def is_moved(self, prefix: str, refusal: store_errors.StoreSlotMoving) -> None:
        """Note that a call to a partition was refused, since its slot is moved for long; logged likewise."""
        self._tell(refusal)
        self.moving[prefix] = self._clock()

    def came_up(self, prefix: str) -> None:
        """Note that a partition has answered."""
        was_down = self.reasons.pop(prefix, None) is not None
        if self._clock() - self.moving.get(prefix, self._clock()) >= ARRIVED_SECONDS:
            del self.moving[prefix]
            was_down = True
        if was_down and not self:
            self._told.clear()
            log.info("store whole again")

    def store_came_up(self) -> None:
        """Log why some are still down, as far as it was not."""
        if not self:
            self._told.clear()
        for reason in self.reasons.values():
            self._tell(reason)

    def clear(self) -> None:
        """Forget which partitions are down, but not what was logged of them: the store is connected anew."""
        self.reasons.clear()
        self.moving.clear()

    def _tell(self, reason: errors.StoreError) -> None:
        what = reason.advice, reason.master if isinstance(reason, errors.StoreDenied) else ""
        if what not in self._told:
            self._told.add(what)
            log.error("store partly down", **store_errors.facts_of(reason))


def _sentence(count: int, server: Server, why: str, advice: str) -> str:
    return f"{count} of the store's {server.partitions} partitions are down {why}: {advice}"


class _Session(Protocol):
    """What a call goes through: `StoreSession`."""

    @property
    def is_up(self) -> bool: ...

    @property
    def down_partitions(self) -> DownPartitions: ...


@contextmanager
def naming(session: _Session, prefix: str) -> Iterator[None]:
    """Have the error of a call to a partition say which it is, if that one is down and others are not."""
    try:
        yield
    except OF_ONE_MASTER as error:
        if not session.is_up or prefix not in session.down_partitions.reasons:
            raise
        named = copy(error)  # the error itself may be the reason why the partition is down
        named.advice = f"this needs the partition {prefix}, which is down: {error.advice}"
        raise named from error


async def settled(calls: Iterable[Awaitable[T]]) -> list[T | Exception]:
    """Wait for all calls; return the result of each, or its error."""
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, Exception):
            raise outcome
    return outcomes  # type: ignore[return-value]  # the others were raised


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """Wait for all calls, also when one fails, and return their results.

    Raises:
        Exception: one failed.
    """
    results = []
    for outcome in await settled(calls):
        if isinstance(outcome, Exception):
            raise outcome
        results.append(outcome)
    return results


async def of_those_that_serve(calls: Iterable[Awaitable[T]], partitions: int | None = None) -> list[T | None]:
    """Wait for calls to several partitions; return None for those whose master cannot be used.

    With `partitions`, which is how many the store has, it may be none of those that were called, if others
    were not.

    Raises:
        Exception: none was answered, or one failed for a reason that is not its master's: the first that did.
    """
    outcomes = await settled(calls)
    failed = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for error in failed:
        if len(failed) == (partitions or len(outcomes)) or not isinstance(error, OF_ONE_MASTER):
            raise error
    return [None if isinstance(outcome, Exception) else outcome for outcome in outcomes]
