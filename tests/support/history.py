"""The record of what was sent to gates and what they answered, and the judge of it."""

import asyncio
import json
import math
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from app.store.partitions import signature_hash
from tests.support.truth import Store, count_entries, kept_hashes
from tests.support.wire import NDJSON, Connection, Reply, ask_once, connected

ACCEPTED, DUPLICATE = "accepted", "duplicate"
LOOKUPS_AT_ONCE = 8
BUSY_SECONDS, BUSY_PAUSE_SECONDS = 60.0, 0.1
READINGS = 3

Item = dict[str, object]
Findings = dict[str, list[str]]
"""What is wrong with a history, each with the signatures for which it is; of `unbalanced`, with the maps."""


@dataclass
class Attempt:
    """One request to a gate, and what came of it; its times are those of the monotonic clock."""

    url: str
    items: list[Item]
    kind: str = "array"
    """How the items are sent: as `one`, an `array` or `lines`."""
    began: float = field(default_factory=time.monotonic)
    ended: float = math.inf
    reply: Reply | None = None

    async def post(self, connection: Connection) -> Reply:
        """Send the request; the answer is kept."""
        media = NDJSON if self.kind == "lines" else "application/json"
        self.reply = await connection.post(self._body(), media=media)
        self.ended = time.monotonic()
        return self.reply

    @property
    def is_processed(self) -> bool:
        return self.reply is not None and self.reply.status == 200

    def verdicts(self) -> Iterator[tuple[str, Item]]:
        """`accepted` or `duplicate` for each item of a request that was answered 200."""
        assert self.reply is not None
        document = self.reply.json()
        if self.kind == "one":
            yield document["status"], self.items[0]
            return
        assert document["invalid"] == 0
        assert document["accepted"] + document["duplicate"] == len(self.items)
        duplicates = set(document["duplicates"])
        for at, item in enumerate(self.items):
            yield (DUPLICATE if at in duplicates else ACCEPTED), item

    def told(self) -> list[str | None]:
        """What was told of each item; None of one that failed, or if the request was refused as a whole.

        A refusal with a summary lists those that failed; whatever it does not list was accepted. Of lines,
        those behind a chunk in which some failed were not read: the counts say how many were.
        """
        if self.is_processed:
            return [verdict for verdict, _ in self.verdicts()]
        document = {} if self.reply is None else self.reply.json()
        if "failed" not in document:
            return [None] * len(self.items)
        expected = [document[name] for name in ("accepted", "duplicate", "failed")]
        told: list[str | None] = [ACCEPTED] * sum(expected)
        for at in document["duplicates"]:
            told[at] = DUPLICATE
        for error in document["errors"]:
            told[error["index"]] = None
        counts = [told.count(verdict) for verdict in (ACCEPTED, DUPLICATE, None)]
        assert counts == expected
        return told + [None] * (len(self.items) - len(told))

    def _body(self) -> bytes:
        if self.kind == "lines":
            return "\n".join(json.dumps(item) for item in self.items).encode()
        return json.dumps(self.items[0] if self.kind == "one" else self.items).encode()


@dataclass
class History:
    """What was sent to any number of gates, request by request, and what became of it."""

    attempts: list[Attempt] = field(default_factory=list, init=False)

    async def post(self, url: str, connection: Connection, items: list[Item], kind: str = "array") -> Attempt:
        """Send items; that is on record whatever comes of it."""
        attempt = Attempt(url, items, kind)
        self.attempts.append(attempt)
        await attempt.post(connection)
        return attempt

    async def retry(self, url: str, attempts: Iterable[Attempt]) -> None:
        """Send requests again, as they were; every one has to be answered 200."""
        queue = list(attempts)

        async def work(connection: Connection) -> None:
            while queue:
                earlier = queue.pop()
                again = await self.post(url, connection, earlier.items, earlier.kind)
                assert again.is_processed, again.reply

        async with connected(url, LOOKUPS_AT_ONCE) as connections:
            await asyncio.gather(*map(work, connections))

    def processed(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if attempt.is_processed]

    def unanswered(self, since: int = 0) -> list[Attempt]:
        """Requests whose fate is unknown to the feed: no answer, or 503."""
        return [attempt for attempt in self.attempts[since:] if not attempt.is_processed]

    def answered(self, verdict: str) -> list[Item]:
        """The items that were answered `accepted` or `duplicate`, once for each such answer."""
        return [
            item for attempt in self.processed() for given, item in attempt.verdicts() if given == verdict
        ]

    async def findings(self, url: str, store: Store, sampled: int = 1) -> Findings:
        """Compare the history with the store and with a gate, at which one in `sampled` is looked up.

        Law 1: within one window each signature is accepted once. Law 2: all that is acknowledged is kept.
        Law 3: the totals of each map are balanced.
        """
        signatures = list({str(item["signature"]): None for a in self.processed() for item in a.items})
        found = judge(self.attempts, kept_hashes(store), await look_up(url, signatures[::sampled]))
        maps = await unbalanced(url, store)
        return found | ({"unbalanced": maps} if maps else {})

    async def assert_honest(self, url: str, store: Store, sampled: int = 1) -> None:
        """Nothing is wrong with it; what is would be told with its first signatures."""
        found = await self.findings(url, store, sampled)
        assert not found, {what: names[:5] for what, names in found.items()}


class _Answer(NamedTuple):
    """What an attempt was told of one signature: None if it was refused, or not answered."""

    began: float
    ended: float
    verdict: str | None


def judge(attempts: Iterable[Attempt], kept: Collection[bytes], looked_up: Mapping[str, object]) -> Findings:
    """Find what contradicts that each signature is accepted once, within one window, and kept as it was sent.

    `kept` are the hashes of the transactions in the store, `looked_up` payloads: None of what was not found.
    """
    answers, payloads, found = defaultdict[str, list[_Answer]](list), dict[str, object](), Findings()
    for attempt in attempts:
        for item, verdict in zip(attempt.items, attempt.told(), strict=True):
            signature = str(item["signature"])
            payloads[signature] = item["payload"]
            answers[signature].append(_Answer(attempt.began, attempt.ended, verdict))
    for signature, given in answers.items():
        sent = payloads[signature]
        got = looked_up.get(signature, sent) if signature_hash(signature) in kept else None
        for what in _contradictions(given, sent, got):
            found.setdefault(what, []).append(signature)
    return found


def _contradictions(answers: Sequence[_Answer], sent: object, got: object) -> Iterator[str]:
    verdicts = [answer.verdict for answer in answers]
    if verdicts.count(ACCEPTED) > 1:
        yield "accepted twice"
    if any(_is_false(answer, answers) for answer in answers):
        yield "false duplicates"
    if not any(verdicts):
        yield "never answered"
    elif got is None:
        yield "lost"
    elif got != sent:
        yield "exchanged"


def _is_false(answer: _Answer, answers: Sequence[_Answer]) -> bool:
    """Tell whether the answer was `duplicate` although no other can have been stored before."""
    return answer.verdict == DUPLICATE and not any(
        other.verdict != DUPLICATE and other.began < answer.ended for other in answers if other is not answer
    )


async def look_up(url: str, signatures: Iterable[str]) -> dict[str, object]:
    """Ask a gate for the payload of each, which is None of what it does not have."""
    queue, found = list(signatures), dict[str, object]()

    async def work(connection: Connection) -> None:
        while queue:
            signature = queue.pop()
            reply = await _found(connection, signature)
            assert reply.status in (200, 404), reply
            found[signature] = reply.json()["payload"] if reply.status == 200 else None

    async with connected(url, LOOKUPS_AT_ONCE) as connections:
        await asyncio.gather(*map(work, connections))
    return found


async def _found(connection: Connection, signature: str) -> Reply:
    """Look a signature up; again where the gate has no time, as beside posts on a busy machine."""
    async with asyncio.timeout(BUSY_SECONDS):
        while (reply := await connection.get(f"/transactions/{signature}")).status == 503:
            await asyncio.sleep(BUSY_PAUSE_SECONDS)
    return reply


async def assert_stored(url: str, items: Sequence[Item]) -> None:
    """Each can be looked up, with its payload; one that cannot is lost."""
    sent = {str(item["signature"]): item["payload"] for item in items}
    assert await look_up(url, sent) == sent


async def unbalanced(url: str, store: Store) -> list[str]:
    """Law 3: the maps whose added minus removed is not what they hold, in `/stats` and really in the store.

    A bucket may leave between the gate's reading and that of the test: then both are made again.
    """
    found: list[str] = []
    for _ in range(READINGS):
        maps = (await ask_once(url, "GET", "/stats")).json()["maps"]
        truth = vars(count_entries(store))
        assert maps.keys() == truth.keys()
        found = [
            name
            for name, figures in maps.items()
            if not figures["added_total"] - sum(figures["removed_total"].values())
            == figures["entries"]
            == truth[name]
        ]
        if not found:
            break
    return found


async def assert_balanced(url: str, store: Store) -> None:
    """Law 3, of each map."""
    assert await unbalanced(url, store) == []
