"""Posts that are due at fixed times, whatever is answered, each timed from when it was due.

`three_feeds` is the constant load of the soak: three feeds that deliver the same batches, each over a
connection of its own. Which feed is first changes with every batch; the two others follow some milliseconds
later, within the dedup window, so two thirds of what is delivered are duplicates.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import count, tee
from typing import Self

from benchmarks.common.background import meanwhile
from benchmarks.common.gates import port_of
from benchmarks.common.loader import Loader, Post, Stream
from benchmarks.common.plan import ADDRESSES, FEEDS
from tests.support.payloads import Payloads, body_of

BEHIND_SECONDS = (0.0, 0.03, 0.12)
BATCH_ITEMS = 100

Call = tuple[float, float]
"""When a call was due, by `time.monotonic`, and the seconds until its answer."""


@dataclass
class Answers:
    """What was answered: items by verdict, requests by status (0: no answer), and each call's time."""

    items: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    calls: list[Call] = field(default_factory=list)

    def take(self, _stream: int, due: float, status: int, body: bytes) -> None:
        """Count an answer that came now, of a service to one item or an array, or of a store to a command."""
        self.statuses[status] += 1
        if status:
            self.calls.append((due, time.monotonic() - due))
        if status == HTTPStatus.OK and body.startswith(b"{"):
            summary = json.loads(body)
            for verdict in ("accepted", "duplicate", "invalid"):
                self.items[verdict] += summary.get(verdict, 0)

    def seconds(self, since: float = 0.0, until: float = float("inf")) -> list[float]:
        """How long the calls took that were due in a span of time."""
        return [seconds for due, seconds in self.calls if since <= due < until]

    def span(self) -> float:
        """Seconds from when the first call was due until the last answer."""
        return max(map(sum, self.calls)) - min(self.calls)[0]

    def checked(self, *, are_new: bool = False) -> Self:
        """Return these answers, or end the run: no 200, an invalid item, or a duplicate of what is new."""
        if self.statuses.keys() - {200} or self.items["invalid"] or (are_new and self.items["duplicate"]):
            raise SystemExit(f"not taken: {self.statuses}, {self.items}")
        return self


def post_when_due(
    url: str,
    streams: Iterable[Stream],
    answers: Answers | None = None,
    is_over: Callable[[], bool] = lambda: False,
) -> Answers:
    """Post all there is and wait for the answers, unless it is over before."""
    taken = answers or Answers()
    with closing(Loader(port_of(url), list(streams), taken.take)) as loader:
        loader.run(is_over)
    return taken


@contextmanager
def posting(url: str, streams: Iterable[Stream]) -> Iterator[Answers]:
    """Post while the block runs; the answers fill meanwhile."""
    answers = Answers()
    with meanwhile(lambda stop: post_when_due(url, streams, answers, stop.is_set)):
        yield answers


@dataclass(frozen=True)
class Rate:
    """How often a body is posted by every source, and over how many connections a source, in turn."""

    per_second: float
    sources: Sequence[str]
    connections: int
    form: str = "items"
    at_once: int = 1
    """How many bodies are due at the same moment."""


ORDINARY = Rate(100.0, ["default"], connections=4)


def at_rate(bodies: Sequence[bytes], rate: Rate) -> Iterator[Stream]:
    """The streams that post the bodies at a constant rate from now on."""
    begins, together = time.monotonic(), rate.at_once
    moments = (number // together * together / rate.per_second for number in range(len(bodies)))
    due = [(begins + at, body) for at, body in zip(moments, bodies, strict=True)]
    for source in rate.sources:
        for first in range(rate.connections):
            yield Stream(ADDRESSES[rate.form] + source, iter(due[first :: rate.connections]))


def post_at_rate(url: str, bodies: Sequence[bytes], rate: Rate) -> Answers:
    """Post the bodies at a constant rate, and wait for the answers."""
    return post_when_due(url, at_rate(bodies, rate))


def ordinary(seconds: float) -> Iterator[Stream]:
    """The streams of a client as most are: 100 new transactions a second over four connections."""
    run, number = time.time_ns(), range(int(ORDINARY.per_second * seconds))
    bodies = [b'{"signature":"ordinary-%d-%d","payload":{"fee":25000}}' % (run, each) for each in number]
    return at_rate(bodies, ORDINARY)


def three_feeds(accepted_per_second: float, seed: int = 1) -> Iterator[Stream]:
    """The streams of three feeds that deliver the same transactions without end."""
    for place, batches in enumerate(tee(_batches(accepted_per_second, seed), len(FEEDS))):
        yield Stream(ADDRESSES["items"] + FEEDS[place], _of_feed(place, batches))


def _batches(accepted_per_second: float, seed: int) -> Iterator[tuple[float, list[float], bytes]]:
    """When each batch is due, how much later each feed delivers it, and its body."""
    payloads, order, started = Payloads(seed), random.Random(seed), time.monotonic()
    for number in count():
        due = started + number * BATCH_ITEMS / accepted_per_second
        yield due, order.sample(BEHIND_SECONDS, len(FEEDS)), body_of(payloads.items(BATCH_ITEMS))


def _of_feed(place: int, batches: Iterator[tuple[float, list[float], bytes]]) -> Iterator[Post]:
    for due, behind, body in batches:
        yield due + behind[place], body
