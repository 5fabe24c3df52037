"""The connections to the sentinels of a service, who are asked for its primary all at once."""

import asyncio
from collections.abc import Callable, Container, Mapping
from copy import copy
from functools import partial
from time import monotonic
from typing import NamedTuple

from app.errors import StoreError, StoreInterrupted, StoreTimeout, StoreUnsupported
from app.process.shared_task import note_end
from app.store.address import StoreAddress
from app.store.error_mapping import as_store_error
from app.store.reconnecting_node import Node
from app.store.sentinel_agreement import (
    Agreement,
    Answers,
    Failure,
    LatestReports,
    Place,
    Report,
    fields_of,
    place_in,
    place_of,
    report_of,
)
from app.store.shared_connection import Link, NotConnected, ReplyError, packed
from app.store.store_url import SentinelService

MOST_SECONDS = 1.0
"""How long a sentinel may take before its connection is given up."""
GRACE_SECONDS = 0.02  # for the sentinels that have not answered when a majority has
LATE_SECONDS = 0.5
"""How long a sentinel is waited for where it matters what each of them says. One that took longer the last
time is not: when it hangs it must not keep the others from being heard."""
MOST_UNANSWERED = 10  # questions to one sentinel, which is asked ten times a second
SILENT_SECONDS = 10.0  # without an answer of a sentinel before operators are told, as longer than its restart


class Silent(NamedTuple):
    """A sentinel that has not answered for SILENT_SECONDS."""

    place: str
    """Host and port, for operators."""
    error: StoreError
    """How the last question to it failed."""


class Sentinel:
    """One sentinel, and the connection to it."""

    def __init__(self, address: StoreAddress, deadline_seconds: float, *, was_late: bool = False) -> None:
        """Know the address; `was_late` says that the same sentinel is late by another address."""
        self.address = address
        self.id = b""
        """The id of the sentinel, learned from each new connection."""
        self._owed: list[float] = []  # when the questions were asked that are under way
        self._was_late = was_late
        self._node = Node(address, min(deadline_seconds, MOST_SECONDS), self._learn_id)
        self._refusal: NotConnected | None = None
        self._heard_at, self._trouble = monotonic(), StoreError("not asked yet")

    @property
    def may_be_asked(self) -> bool:
        """Whether fewer questions to it are under way than MOST_UNANSWERED."""
        return len(self._owed) < MOST_UNANSWERED

    @property
    def is_late(self) -> bool:
        """Whether its last answer took longer than LATE_SECONDS, or failed, or the next one takes longer."""
        return self._was_late or (bool(self._owed) and _is_late_since(self._owed[0]))

    async def connect(self) -> bool:
        """Connect, for as long as that may take, and say whether it did; `report` raises why it did not."""
        try:
            await self._node.connect()
        except NotConnected as refusal:
            self._refusal = refusal
            return False
        self._refusal = None
        return True

    async def report(self, service: str) -> Report:
        """Ask the sentinel what it knows of the service.

        Raises:
            NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Node.call`.
            StoreUnsupported: it answers as no sentinel does.
        """
        asked_at = monotonic()
        self._owed.append(asked_at)
        try:
            report = await self._report(service, asked_at)
        except Exception as error:
            self._trouble, self._was_late = as_store_error(error), True
            raise
        finally:
            self._owed.remove(asked_at)
        self._heard_at, self._was_late = monotonic(), _is_late_since(asked_at)
        return report

    async def _report(self, service: str, asked_at: float) -> Report:
        try:
            reply, named = await asyncio.gather(
                self._node.call("SENTINEL", "MASTER", service),
                self._node.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", service),
            )
        except NotConnected as error:
            # An answer is not waited for as long as a connection, which would say more than that it is late.
            if self._refusal is not None and isinstance(error.__cause__, TimeoutError):
                raise copy(self._refusal) from self._refusal.__cause__
            raise
        return report_of(self.id, asked_at, fields_of(reply), place_in(named))

    def silence(self) -> Silent | None:
        """Say why it has not answered for a while; None if it has."""
        is_silent = monotonic() - self._heard_at >= SILENT_SECONDS
        return Silent(self.address.shown_place, self._trouble) if is_silent else None

    async def others(self, service: str) -> dict[bytes, Place]:
        """Return the places of the other sentinels, by their ids; raises what `report` does."""
        replies = await self._node.call("SENTINEL", "SENTINELS", service)
        if not isinstance(replies, list):
            raise StoreUnsupported("it answers SENTINEL SENTINELS as no sentinel does")
        others = map(fields_of, replies)
        return {one.get("runid", "").encode(): place_of(one) for one in others}

    async def close(self) -> None:
        """Close the connection."""
        self._node.close()
        await self._node.wait_closed()

    async def _learn_id(self, link: Link) -> None:
        reply = await link.send(packed(("SENTINEL", "MYID")))
        if isinstance(reply, ReplyError):
            raise reply
        self.id = reply if isinstance(reply, bytes) else b""


def _is_late_since(asked_at: float) -> bool:
    return monotonic() - asked_at > LATE_SECONDS


class Sentinels:
    """All sentinels of a service that are known: those of the URL, and those they tell of.

    The connections to them stay open while one primary is left and the next one is found, so that it is
    known of each whether it hangs, and nothing has to be opened before they are asked.
    """

    def __init__(self, service: SentinelService, deadline_seconds: float) -> None:
        """Begin with the sentinels that the URL names."""
        self.service, self.deadline_seconds = service, deadline_seconds
        self._latest = LatestReports()
        self._all = [Sentinel(address, deadline_seconds) for address in service.sentinels]
        self._asking: set[asyncio.Task[Report]] = set()

    def silent(self) -> list[Silent]:
        """List the sentinels that have not answered for a while."""
        return [found for one in self._all if (found := one.silence()) is not None]

    def places(self) -> list[StoreAddress]:
        """Return the addresses of all that are known."""
        return [one.address for one in self._all]

    async def connect(self, patience_seconds: float = 0.0) -> None:
        """Connect to all that are known, until most are and the others were waited for so long.

        That may take longer than an answer. Those that were late are not waited for; they go on connecting.
        """
        connecting = {asyncio.create_task(one.connect()): one for one in self._all}
        waiting, connected = set(connecting), 0
        try:
            while connected <= len(self._all) // 2 and not all(connecting[task].is_late for task in waiting):
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                connected += sum(task.result() for task in done)
            if waiting:
                await asyncio.wait(waiting, timeout=patience_seconds)
        finally:
            for task in connecting:
                task.cancel()

    async def ask(
        self, patience_seconds: float = LATE_SECONDS, heed: Callable[[Answers], None] | None = None
    ) -> Answers:
        """Ask all sentinels at once, and wait until a majority agrees or all have answered or failed.

        When a majority has answered, those that are late are waited for a moment, and all others for so long
        if it agrees, LATE_SECONDS else. `heed` is given what was said with each answer that comes after that.
        """
        asked = {self._begin(one): one for one in self._all if one.may_be_asked}
        waiting, answers = set(asked), Answers((), [Failure("all", StoreTimeout("every one owes answers"))])
        while waiting:
            seconds = None
            if len(answers.reports) >= answers.majority:
                is_all_late = all(asked[task].is_late for task in waiting)
                in_time_seconds = patience_seconds if answers.agreement else LATE_SECONDS
                seconds = GRACE_SECONDS if is_all_late else in_time_seconds
            done, waiting = await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            answers = self._answers({task: one for task, one in asked.items() if task not in waiting})
            if not done:
                break
        if heed is not None:
            for task in waiting:
                task.add_done_callback(partial(self._tell, asked[task], heed))
        return answers

    async def agreement(self) -> Agreement:
        """Ask all sentinels, and return what a majority vouches for.

        Raises:
            StoreError: it does for nothing; StoreNoPrimary if they do not say why with one voice.
        """
        answers = await self.ask()
        found = answers.agreement
        if found is None:
            raise answers.refusal()
        return found

    async def meet(self) -> Answers:
        """Connect to all, also to those that the others tell of, and ask them.

        A majority is one of all, and the URL may leave some out. A gate that has heard of none before waits
        longer for each of them, as one of them may know what the others do not.
        """
        await self.connect(0.0 if self._latest.is_known else MOST_SECONDS)
        answers = await self.ask()
        answered = {report.sentinel for report in answers.reports}
        if len(answered) >= max((report.sentinels for report in answers.reports), default=0):
            return answers
        if not await self._learn_of_others(answered):
            return answers
        if len(answered) < answers.majority:
            await self.connect()
        return await self.ask()

    async def _learn_of_others(self, answered: Container[bytes]) -> bool:
        """Take in the sentinels that one tells of which has answered; say whether any of them is new.

        One of them may be known already by another address, where it hangs; it is not waited for here again.
        """
        for one in [one for one in self._all if one.id in answered]:
            try:
                others = await one.others(self.service.name)
            except Exception:  # noqa: BLE001, S112  whatever it answers, the next one is asked
                continue
            known, late = self.places(), {each.id for each in self._all if each.is_late}
            new = [
                Sentinel(address, self.deadline_seconds, was_late=sentinel in late)
                for sentinel, place in others.items()
                if sentinel not in answered and (address := one.address.at(*place)) not in known
            ]
            self._all += new
            return bool(new)
        return False

    async def close(self) -> None:
        """Close every connection."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, *(one.close() for one in self._all), return_exceptions=True)

    def _begin(self, one: Sentinel) -> "asyncio.Task[Report]":
        task = asyncio.create_task(one.report(self.service.name))
        self._asking.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Report]") -> None:
        """Let go of a question, and keep what was answered, though it be late."""
        self._asking.discard(task)
        note_end(task)
        if not task.cancelled() and task.exception() is None:
            self._latest.note(task.result())

    def _tell(self, one: Sentinel, heed: Callable[[Answers], None], task: "asyncio.Task[Report]") -> None:
        """Have an answer heeded that came late."""
        heed(self._answers({task: one}))

    def _answers(self, ended: Mapping["asyncio.Task[Report]", Sentinel]) -> Answers:
        reports: dict[bytes, Report] = {}
        failures: list[Failure] = []
        for task, one in ended.items():
            error = StoreInterrupted("closed") if task.cancelled() else task.exception()
            if error is not None:
                failures.append(Failure(one.address.shown_place, as_store_error(error)))
                continue
            report = task.result()
            reports[report.sentinel] = report  # the same one may be known by two addresses
        return Answers(list(reports.values()), failures, self._latest.of_others(reports))
