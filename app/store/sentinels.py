"""The connections to the sentinels of a service, who are asked for its primary all at once."""

import asyncio
from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from time import monotonic

from app.errors import StoreInterrupted, StoreTimeout
from app.process.shared_task import note_end
from app.store.address import StoreAddress
from app.store.error_mapping import as_store_error
from app.store.sentinel import LATE_SECONDS, MOST_SECONDS, Sentinel
from app.store.sentinel_agreement import Answers, Failure, LatestReports, Place, Report
from app.store.sentinel_places import named_by_most
from app.store.silent_sentinels import Silent
from app.store.store_url import SentinelService

GRACE_SECONDS = 0.02  # for the sentinels that have not answered when a majority has
REVIEW_SECONDS = 5.0  # between two looks at who the sentinels are, while one of them does not answer
MOST_LEARNED = 32  # addresses beside those of the URL

Places = dict[bytes, Place]
"""Where sentinels are, by their ids."""


class Sentinels:
    """All sentinels of a service that are known: those of the URL, and those that most of them tell of.

    The connections to them stay open while one primary is left and the next one is found, so that it is
    known of each whether it hangs, and nothing has to be opened before they are asked.
    """

    def __init__(self, service: SentinelService, deadline_seconds: float) -> None:
        """Begin with the sentinels that the URL names."""
        self.service, self.deadline_seconds = service, deadline_seconds
        self._latest = LatestReports()
        self._all = [Sentinel(address, deadline_seconds) for address in service.sentinels]
        self._asking: set[asyncio.Task[Report]] = set()
        self._review_at = 0.0
        self._reviewing: asyncio.Task[bool] | None = None

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
            while connected <= len(connecting) // 2 and not all(connecting[task].is_late for task in waiting):
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

    async def meet(self) -> Answers:
        """Connect to all, also to those that the others tell of, and ask them.

        A majority is one of all, and the URL may leave some out. A gate that has heard of none before waits
        longer for each of them, as one of them may know what the others do not. While one of them is late,
        the others are asked where it is together with what they know: one round trip instead of two.
        """
        await self.connect(0.0 if self._latest.is_known else MOST_SECONDS)
        is_any_late = any(one.is_late for one in self._all)
        telling = self._ask_for_others([one for one in self._all if is_any_late and not one.is_late])
        try:
            answers = await self.ask()
            if len(answers.reports) >= _known_of(answers):
                self.keep_up(answers)
                return answers
            if not await self._review(answers, telling):
                return answers
        finally:
            for task in telling.values():
                task.cancel()
        if len(answers.reports) < answers.majority:
            await self.connect()
        return await self.ask()

    def keep_up(self, answers: Answers) -> None:
        """Look who the sentinels are, every REVIEW_SECONDS, while one of them does not answer in time."""
        in_time = [one.id for one in self._all if not one.is_late]
        is_whole = len(in_time) == len(self._all) and len(set(in_time)) >= _known_of(answers)
        is_under_way = self._reviewing is not None and not self._reviewing.done()
        if is_whole or is_under_way or monotonic() < self._review_at:
            return
        self._review_at = monotonic() + REVIEW_SECONDS
        self._reviewing = asyncio.create_task(self._review(answers, {}))
        self._reviewing.add_done_callback(note_end)

    async def _review(self, answers: Answers, telling: Mapping[bytes, "asyncio.Task[Places]"]) -> bool:
        """Ask the sentinels that answered for the others, and go by what most say; tell if any is new.

        Those that were asked before are not asked again: `telling` has the questions, by the sentinels' ids.

        Of the addresses that were learned so, those are forgotten that do not answer and are not named any
        more: a sentinel that starts anew elsewhere, as pods do, would leave one behind each time.
        """
        tellers = {report.sentinel for report in answers.reports}
        told = await self._told_by(tellers, telling)
        if not told:
            return False
        late = {one.id for one in self._all if one.is_late}
        named = {self._at(place): sentinel for sentinel, place in named_by_most(told).items()}
        kept = {*self.service.sentinels, *named}
        gone = [one for one in self._all if one.is_late and one.address not in kept]
        self._all = [one for one in self._all if one not in gone]
        known, room = self.places(), len(self.service.sentinels) + MOST_LEARNED - len(self._all)
        new = [
            Sentinel(address, self.deadline_seconds, was_late=sentinel in late)
            for address, sentinel in named.items()
            if sentinel not in tellers and address not in known
        ][:room]
        self._all += new
        await asyncio.gather(*(one.close() for one in gone))
        return bool(new)

    async def _told_by(
        self, tellers: Container[bytes], telling: Mapping[bytes, "asyncio.Task[Places]"]
    ) -> dict[bytes, Places]:
        """Return what these sentinels tell of the others; leave out who does not answer, and how."""
        late_first = sorted(self._all, key=lambda one: not one.is_late)
        unasked = [one for one in late_first if one.id in tellers and one.id not in telling]
        asked = {**telling, **self._ask_for_others(unasked)}
        waiting = {sentinel: task for sentinel, task in asked.items() if sentinel in tellers}
        replies = await asyncio.gather(*waiting.values(), return_exceptions=True)
        pairs = zip(waiting, replies, strict=True)
        return {sentinel: reply for sentinel, reply in pairs if not isinstance(reply, BaseException)}

    def _ask_for_others(self, asked: Iterable[Sentinel]) -> dict[bytes, "asyncio.Task[Places]"]:
        """Begin to ask sentinels for the others; return the questions by the ids of who is asked.

        Of one that is known by two addresses, the later in the list is asked.
        """
        by_id = {one.id: one for one in asked}
        questions = {
            sentinel: asyncio.create_task(one.others(self.service.name)) for sentinel, one in by_id.items()
        }
        for question in questions.values():
            question.add_done_callback(note_end)
        return questions

    def _at(self, place: Place) -> StoreAddress:
        return self.service.sentinels[0].at(*place)

    async def close(self) -> None:
        """Close every connection."""
        reviewing = [] if self._reviewing is None else [self._reviewing]
        under_way = [*self._asking, *reviewing]
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)
        await asyncio.gather(*(one.close() for one in self._all), return_exceptions=True)

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


def _known_of(answers: Answers) -> int:
    """Return how many sentinels there are, as far as those know that answered."""
    return max((report.sentinels for report in answers.reports), default=0)
