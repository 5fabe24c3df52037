"""Consumers: named readers to which everything accepted is handed out, in leases that they commit.

All of it lies in the store, under scripts, so that any gate serves any consumer:

    leases = await consumers.lease("bot", 500, 1 << 20, 30_000, ...)
    for partition, leased in enumerate(leases.parts):
        ...                       what it has is in leased.extract
        await consumers.commit("bot", partition, leased.number, leased.incarnation, ...)

A lease that is not committed in time is handed out again, to whoever asks next, under another number.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, NamedTuple

from app.consumer_errors import TooManyConsumers, TooManyLeases, UnknownConsumer
from app.store.down_partitions import OF_ONE_MASTER, naming, of_those_that_serve, settled
from app.store.map_rules import Layout
from app.store.positions import Positions, Start
from app.store.read_accepted import Extract, extract_of
from app.store.session import StoreSession

_HEAD, _LEASE, _EXTRACT = 10, 3, 7  # numbers of each part of what lease_transactions.lua answers


class Leased(NamedTuple):
    """What one partition has leased."""

    number: int
    """The number of the lease; 1 is the partition's first for the consumer."""
    incarnation: int
    """Which consumer of that name it was; one that was forgotten and came again is another."""
    is_again: bool
    """True if all of it was handed out before, and not committed in time."""
    last_ms: int | None
    """When the last one before it was accepted, or an earlier time; None where nobody knows."""
    extract: Extract


class Leases(NamedTuple):
    """What a consumer was handed."""

    parts: list[Leased | None]
    """One a partition; None where there is nothing to lease."""
    lag_transactions: int
    """How many were accepted and not committed, also those handed out now; without partitions that failed."""
    lag_seconds: float
    """How long ago the oldest of those that are kept was accepted; 0 if there is none."""
    place: Positions | None
    """Where that begins; in a partition that gave nothing, the consumer's position. None if one failed."""
    is_new: bool
    """Whether the call made the consumer, which there was not, or not any more."""


class CommitResult(StrEnum):
    """What became of a commit."""

    COMMITTED = "committed"
    REPEATED = "repeated"
    """Nothing to do: the lease was committed earlier."""
    SUPERSEDED = "superseded"
    """The lease has gone to another caller, or the consumer was moved."""
    UNKNOWN = "unknown"
    """There is no such lease of this consumer, or nobody knows any more."""


class ConsumerFigures(NamedTuple):
    """How far a consumer has come; totals count from its making."""

    name: str
    incarnation: int
    """Which consumer of that name it is; one that was forgotten and came again is another."""
    ordinals: tuple[int, ...]
    """The position in each partition that the consumer has leased from."""
    before_ms: tuple[int, ...]
    """When the transaction before each position was accepted; 0 where there is none, or nobody knows."""
    lag_transactions: int
    lag_seconds: float
    kept_seconds: float
    """How long the oldest that is not committed is kept, by the retention in force; 0 for none."""
    leases: int
    """How many are neither committed nor handed to another."""
    delivered: int
    """How many transactions were handed out for the first time."""
    redelivered: int
    """How many were handed out again."""
    missed: int
    """How many left before they were handed out, as far as that is known, also before it is told so."""
    unknown_gaps: int
    """How often the store had lost what it had not taken; a Cluster's partitions each count."""
    called_ms: int


class ConsumersReading(NamedTuple):
    """All consumers of a store."""

    born_ms: int
    """When the ledger of the partition was begun that has their names; another one if it was lost since."""
    consumers: list[ConsumerFigures]
    is_whole: bool = True
    """Whether all partitions were read; what is missing of one that is down is missing in the figures."""


class _Part(NamedTuple):
    """The answer of one partition to a lease."""

    status: bytes
    incarnation: int
    start_ms: int
    is_known: int
    has_more: bool
    lag: int
    oldest_ms: int
    place: tuple[int, int, int]
    """When the ledger was born, where what was leased begins, or else the consumer's position, and when the
    one before that was accepted."""
    leased: Leased | None


class Consumers:
    """Calls the scripts of consumers on the partitions of one store."""

    def __init__(self, session: StoreSession, layout_of: Callable[[int], Layout]) -> None:
        """Call scripts over a session; `layout_of` gives the layout of a number of partitions."""
        self._session = session
        self._layout_of = layout_of
        self._turn = 0

    async def lease(  # noqa: PLR0913, PLR0917  what a lease is made of
        self,
        name: str,
        limit: int,
        most_bytes: int,
        lease_ms: int,
        idle_ms: int,
        most_consumers: int,
        start: Start = "oldest",
    ) -> Leases:
        """Lease the next transactions, at most `limit` of all partitions together.

        They have at most `most_bytes` before compression, except that each partition may give one block. A
        consumer that is new begins at `start`. It is forgotten `idle_ms` after its last call and the end of
        its leases. When a partition fails, what others gave is returned all the same.

        Raises:
            TooManyConsumers: it is new, and there are `most_consumers` others.
            TooManyLeases: there are more transactions, but of its 64 leases one has to be committed first.
            StoreError: nothing was leased, or whether something was is unknown; that would end as any lease.
        """
        shares = self._shares(limit)
        terms = (max(1, most_bytes // len(shares)), lease_ms, idle_ms)
        begin = (most_consumers, 0 if start == "oldest" else start)
        first = await self._ask(0, name, shares[0], *terms, *begin)
        follow = (0, first.start_ms, first.incarnation, first.is_known)
        rest = (self._ask(at, name, share, *terms, *follow) for at, share in enumerate(shares) if at)
        parts = [first, *await settled(rest)]
        if not any(isinstance(part, _Part) and part.leased for part in parts):
            # Those that were asked for none, since there are more partitions than wanted transactions.
            left = [at for at, share in enumerate(shares) if not share and _can_give(parts[at])][:limit]
            again = (self._ask(at, name, 1, *terms, *(follow if at else begin)) for at in left)
            for at, part in zip(left, await settled(again), strict=True):
                parts[at] = part
        return _leases(name, parts, is_new=not first.is_known)

    async def commit(
        self, name: str, partition: int, number: int, incarnation: int, idle_ms: int
    ) -> CommitResult:
        """Commit what one partition has leased; doing it twice does no harm.

        Raises:
            StoreError: whether it was committed is unknown; it may be committed again.
        """
        prefix = self._layout.prefixes[partition]
        outcome = await self._run("commit_lease", prefix, name, incarnation, number, idle_ms)
        return CommitResult(outcome.decode())

    async def seek(self, name: str, start: Start | Positions, idle_ms: int) -> None:
        """Move a consumer; its leases are void, and what is after its new position is handed out again.

        Raises:
            UnknownConsumer: there is none of that name.
            StoreError: it may have been moved in some partitions; moving it again does no harm.
        """
        first, *others = (
            (prefix, [each[at] for each in start[:3]] if isinstance(start, Positions) else [start])
            for at, prefix in enumerate(self._layout.prefixes)
        )
        incarnation = await self._run("seek_consumer", first[0], name, idle_ms, 0, *first[1])
        if not incarnation:
            raise UnknownConsumer(f"there is no consumer {name}; the first lease makes one")
        moves = (self._run("seek_consumer", at, name, idle_ms, incarnation, *to) for at, to in others)
        await asyncio.gather(*moves)

    async def figures(self) -> list[ConsumerFigures]:
        """Tell how far each consumer has come, the one first that will be forgotten first.

        Raises:
            StoreError: the first partition cannot say.
        """
        return (await self.read()).consumers

    async def read(self) -> ConsumersReading:
        """Return the figures of all consumers, and which ledger they are under.

        Raises:
            StoreError: the first partition cannot say.
        """
        first, *others = prefixes = self._layout.prefixes
        own = await self._run("consumers", first)
        found: dict[bytes, list[Sequence[int]]] = {entry[0]: [] for entry in own[1:]}
        calls = (self._run("consumers", at, *found) for at in others if found)
        answers = [own, *await of_those_that_serve(calls, len(prefixes))]
        for name, *numbers in chain.from_iterable(answer[1:] for answer in answers if answer is not None):
            found[name].append(numbers)
        consumers = [_figures(name.decode(), parts) for name, parts in found.items()]
        return ConsumersReading(own[0], consumers, None not in answers)

    async def forget(self, name: str) -> bool:
        """Forget a consumer; False if there was none.

        Raises:
            StoreError: whether it was forgotten is unknown; where the first partition has, it is.
        """
        first, *others = self._layout.prefixes
        known = [await self._run("forget_consumer", first, name)]
        known += await asyncio.gather(*(self._run("forget_consumer", prefix, name) for prefix in others))
        return any(known)

    @property
    def _layout(self) -> Layout:
        return self._layout_of(self._session.partitions)

    async def _run(self, script: str, prefix: str, *args: bytes | str | int) -> Any:
        with naming(self._session, prefix):
            return await self._session.run(script, prefix, [self._layout.rules, *args])

    async def _ask(self, partition: int, name: str, limit: int, *terms: int | str) -> _Part:
        """Lease from one partition; `terms` are the other arguments of the script in their order."""
        prefix = self._layout.prefixes[partition]
        return _part_of(await self._run("lease_transactions", prefix, name, limit, *terms))

    def _shares(self, limit: int) -> list[int]:
        """Share a limit out among the partitions; what is left over goes to each of them in turn."""
        partitions = len(self._layout.prefixes)
        share, over = divmod(limit, partitions)
        self._turn = (self._turn + 1) % partitions
        return [share + ((at - self._turn) % partitions < over) for at in range(partitions)]


def _can_give(part: _Part | Exception) -> bool:
    return isinstance(part, _Part) and part.has_more and part.status != b"busy"


def _part_of(answer: list[Any]) -> _Part:
    """Return what lease_transactions.lua answers."""
    status, *numbers = answer[:_HEAD]
    if status == b"full":
        idle = [name.decode() for name in answer[1:]]
        detail = f"there is no room for another; those that have been idle longest: {', '.join(idle)}"
        raise TooManyConsumers(detail, idle)
    incarnation, start_ms, is_known, has_more, lag, oldest_ms, *position = numbers
    place, leased = tuple(position), None
    if status == b"leased":
        extracted = _HEAD + _LEASE
        number, is_again, last_ms = answer[_HEAD:extracted]
        extract = extract_of(answer[extracted : extracted + _EXTRACT], answer[extracted + _EXTRACT :])
        leased = Leased(number, incarnation, bool(is_again), last_ms or None, extract)
        place = (extract.born_ms, extract.begin, extract.before_begin_ms)
    return _Part(status, incarnation, start_ms, is_known, bool(has_more), lag, oldest_ms, place, leased)


def _leases(name: str, parts: Sequence[_Part | Exception], *, is_new: bool) -> Leases:
    """Join what partitions gave; raise what is wrong, if none gave anything.

    That the master of some cannot be used is not wrong: the others have nothing then, and may have soon.
    """
    answered = [part for part in parts if isinstance(part, _Part)]
    if not any(part.leased for part in answered):
        for part in parts:
            if isinstance(part, Exception) and not (answered and isinstance(part, OF_ONE_MASTER)):
                raise part
        if any(part.status == b"busy" for part in answered):
            raise TooManyLeases(f"{name} has 64 leases that are neither committed nor run out")
    return Leases(
        [part.leased if isinstance(part, _Part) else None for part in parts],
        sum(part.lag for part in answered),
        max((part.oldest_ms for part in answered), default=0) / 1000,
        Positions.of(part.place for part in answered) if len(answered) == len(parts) else None,
        is_new,
    )


def _figures(name: str, parts: Sequence[Sequence[int]]) -> ConsumerFigures:
    made, at, before, lags, ages, kept, leases, given, again, missed, gaps, called = zip(*parts, strict=True)
    seconds = (max(ages) / 1000, min(filter(None, kept), default=0) / 1000)
    totals = (sum(leases), sum(given), sum(again), sum(missed), sum(gaps))
    return ConsumerFigures(name, made[0], at, before, sum(lags), *seconds, *totals, max(called))
