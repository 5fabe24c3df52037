"""What a stack has to do: three feeds that deliver the same, and a consumer, each in a thread of its own."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from threading import Event
from typing import Any

import httpx

from benchmarks.common.background import meanwhile

FEEDS = ("helius-a", "quicknode-b", "grpc-c")
EVERY_SECONDS = 1.0
BATCH_ITEMS = 3
PAYLOAD_BYTES = 200
CONSUMER = "bot"
STEADY = 10_000
"""A consumer that leases so many takes all there is."""
ANSWER_SECONDS = 20.0


@dataclass
class Feed:
    """A feed, and what is wrong with it."""

    name: str
    token: str
    is_silent: bool = False
    is_garbled: bool = False
    """True when the feed sends documents of a shape that nobody knows."""
    payload_bytes: int = PAYLOAD_BYTES
    batch_items: int = BATCH_ITEMS

    def body(self, number: int) -> list[dict[str, Any]]:
        """The batch of this number: the same of every feed as long as nothing is wrong."""
        if self.is_garbled:
            return [{"event": f"{number}-{at}"} for at in range(self.batch_items)]
        chance = Random(number)
        return [
            {"signature": f"causes-{number}-{at}", "payload": chance.randbytes(self.payload_bytes // 2).hex()}
            for at in range(self.batch_items)
        ]


@dataclass
class Traffic:
    """All feeds and the consumer; `urls` are the gates, which are taken in turn."""

    urls: list[str]
    token: str
    feeds: list[Feed] = field(default_factory=list)
    consumer_takes: int = STEADY
    """How many transactions the consumer leases at once; with 0 it makes no call."""

    def __post_init__(self) -> None:
        """Three feeds with which nothing is wrong."""
        self.feeds = [Feed(name, self.token) for name in FEEDS]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Deliver and consume until the block ends, whatever the gates answer."""
        with ExitStack() as threads:
            for feed in self.feeds:
                threads.enter_context(meanwhile(partial(self._deliver, feed)))
            threads.enter_context(meanwhile(self._consume))
            yield

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Have somebody try a token at `POST /transactions` each second until the block ends."""
        with meanwhile(self._try):
            yield

    def _try(self, stop: Event) -> None:
        with _client() as client:
            for number in _turns(stop):
                _ask(client, f"{self._gate(number)}/transactions", "guessed", {"signature": f"try-{number}"})

    def _deliver(self, feed: Feed, stop: Event) -> None:
        with _client() as client:
            for number in _turns(stop):
                if not feed.is_silent:
                    address = f"{self._gate(number)}/feeds/{feed.name}"
                    _ask(client, address, feed.token, feed.body(number))

    def _consume(self, stop: Event) -> None:
        with _client() as client:
            for number in _turns(stop):
                if not self.consumer_takes:
                    continue
                address = f"{self._gate(number)}/consumers/{CONSUMER}"
                given = _ask(client, f"{address}/lease?limit={self.consumer_takes}", self.token)
                if lease := given.get("lease"):
                    _ask(client, f"{address}/commit", self.token, {"lease": lease})

    def _gate(self, number: int) -> str:
        return self.urls[number % len(self.urls)]


def _turns(stop: Event) -> Iterator[int]:
    """Numbers that are the same for all at the same time, so that all feeds deliver the same."""
    while not stop.wait(EVERY_SECONDS):
        yield int(time.time() / EVERY_SECONDS)


def _client() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=ANSWER_SECONDS, verify=False)


def _ask(client: httpx.Client, address: str, token: str, body: object = None) -> dict[str, Any]:
    """What a gate answers to a post, nothing if it does not."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = client.post(address, json=body, headers=headers)
        document = answer.json() if answer.content else {}
    except (httpx.HTTPError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
