"""What several gates answered to the same signatures, and the judge of it."""

import asyncio
import random
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Container, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from app.store.partitions import signature_hash
from tests.support.servers import StoreServer
from tests.support.wire import Connection, NoAnswerError, connected

ACCEPTED, DUPLICATE = "accepted", "duplicate"
BATCH_ITEMS = 10
AGAIN_ITEMS = 3
REMEMBERED = 500  # signatures that were answered lately, of which some are posted again
CONNECTIONS_A_GATE = 3
PAUSE_SECONDS = 0.01


@dataclass(frozen=True)
class Attempt:
    """One post of one signature to a gate: when it was under way, by the monotonic clock, and its verdict.

    Without a verdict the gate has refused it, or has not answered: then it may be stored, or not.
    """

    signature: str
    url: str
    began: float
    ended: float
    verdict: str | None


@dataclass(frozen=True)
class Findings:
    """What is wrong with a history: the signatures for which it is."""

    twice: list[str]
    """Accepted more than once."""
    lost: list[str]
    """Answered `accepted` or `duplicate`, and not stored."""
    false_duplicates: list[str]
    """Called a duplicate of something that nobody can have stored before."""


def judge(history: Sequence[Attempt], stored: Container[str]) -> Findings:
    """Find what contradicts that each signature is accepted once, and kept; all within one window."""
    of_signature: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in history:
        of_signature[attempt.signature].append(attempt)
    findings = Findings([], [], [])
    for signature, attempts in of_signature.items():
        verdicts = [attempt.verdict for attempt in attempts]
        if verdicts.count(ACCEPTED) > 1:
            findings.twice.append(signature)
        if any(verdicts) and signature not in stored:
            findings.lost.append(signature)
        if any(_is_false(attempt, attempts) for attempt in attempts):
            findings.false_duplicates.append(signature)
    return findings


def _is_false(answer: Attempt, attempts: Sequence[Attempt]) -> bool:
    """Tell whether it was called a duplicate although no other can have been stored before."""
    return answer.verdict == DUPLICATE and not any(
        other.verdict != DUPLICATE and other.began < answer.ended for other in attempts if other is not answer
    )


@dataclass
class Rivals:
    """Feeds that deliver the same transactions to several gates at about the same time, and some again.

    What a gate refuses is posted again, as it was, until it is answered.
    """

    name: str
    urls: Sequence[str]
    history: list[Attempt] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    """What refused requests were told, each."""
    _recent: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Post until the block ends, then until all that was begun is answered."""
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for url in self.urls:
                numbers = count()
                for _ in range(CONNECTIONS_A_GATE):
                    tasks.create_task(self._work(url, numbers, stop))
            try:
                yield
            finally:
                stop.set()

    def answered(self) -> list[str]:
        """The signatures that were answered `accepted` or `duplicate`."""
        return list({attempt.signature: None for attempt in self.history if attempt.verdict})

    def judge(self, store: StoreServer) -> Findings:
        """Hold what was answered against what is in the store."""
        digests = stored_digests(store)
        answered = self.answered()
        return judge(self.history, {name for name in answered if signature_hash(name) in digests})

    async def _work(self, url: str, numbers: Iterator[int], stop: asyncio.Event) -> None:
        draw = random.Random(f"{self.name} {url}")
        async with connected(url, 1) as [connection]:
            while not stop.is_set():
                number = next(numbers)
                fresh = [f"{self.name}-{number}-{at}" for at in range(1 if number % 4 == 0 else BATCH_ITEMS)]
                again = draw.sample(self._recent, min(AGAIN_ITEMS, len(self._recent)))
                while not await self._post(url, connection, list(dict.fromkeys(fresh + again))):
                    await asyncio.sleep(PAUSE_SECONDS)
                await asyncio.sleep(PAUSE_SECONDS)

    async def _post(self, url: str, connection: Connection, signatures: Sequence[str]) -> bool:
        """Post a batch, and note what it was answered; whether it was."""
        began, verdicts = time.monotonic(), None
        items = [{"signature": name, "source": "a", "payload": payload_of(name)} for name in signatures]
        try:
            reply = await connection.post(items)
        except NoAnswerError as error:
            raise AssertionError("no gate is to break a connection") from error
        if reply.status == 200:
            duplicates = set(reply.json()["duplicates"])
            verdicts = [DUPLICATE if at in duplicates else ACCEPTED for at in range(len(items))]
            self._recent.extend(signatures)
        else:
            self.refusals.append(str(reply.json()["detail"]))
        ended = time.monotonic()
        for at, name in enumerate(signatures):
            self.history.append(Attempt(name, url, began, ended, verdicts[at] if verdicts else None))
        return verdicts is not None


def payload_of(signature: str) -> dict[str, object]:
    """What is posted with a signature."""
    return {"of": signature, "log": [f"Program {signature} invoke [{n}]" for n in range(3)]}


def stored_digests(store: StoreServer) -> set[bytes]:
    """Read from the store, beside any gate, the hashes of all transactions that it has."""
    found = set[bytes]()
    for node in store.nodes():
        with node:
            for key in node.scan_iter("tidegate:*:transactions:*", count=1000):
                if key.rpartition(b":")[2].isdigit():
                    found.update(node.hkeys(key))  # type: ignore[arg-type]  # its fields are bytes
    return found


async def assert_payloads(url: str, signatures: Sequence[str]) -> None:
    """Look these up, and find each as it was posted."""
    async with connected(url, 1) as [connection]:
        for name in signatures:
            reply = await connection.get(f"/transactions/{name}")
            assert (reply.status, reply.json().get("payload")) == (200, payload_of(name)), (name, reply)
