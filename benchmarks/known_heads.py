"""What the cache of known heads saves of a single post: CPU time with and without it, in turns.

The protocol is driven without a socket; the fast path behind it answers at once, so all else of a post is
left out. Run it with `python -m benchmarks.known_heads` on a quiet machine: the share is of a post measured
on one.
"""

import asyncio
import time
from random import Random
from statistics import median
from typing import Any, ClassVar

import uvicorn
import uvloop
from uvicorn.server import ServerState

from app.http.fast_path import Reply, SendReply, WholeRequest
from app.http.known_heads import KnownHeads
from app.http.limits import Limits
from app.http.protocol import bounded_protocol

ROUNDS, POSTS, LENGTHS = 15, 20_000, 256
# CPU of a whole post in the gate, from the row "single posts" of `make bench` (benchmarks/README.md).
POST_MICROSECONDS = 55.9
HEAD = (
    b"POST /transactions HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nUser-Agent: python-httpx/0.28.1\r\n"
    b"Accept: */*\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
    b"Content-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n"
)
REPLY = Reply(200, [(b"content-type", b"application/json")], b"x" * 80)


class _Nothing(KnownHeads):
    """Knows none."""

    def note(self, *_: object) -> None:
        """Forget it."""


class _AtOnce:
    """A fast path that takes all."""

    path = b"/transactions"
    sends: ClassVar[list[SendReply]] = []

    def take(self, request: WholeRequest, send: SendReply) -> bool:  # noqa: ARG002  nothing is done with it
        """Keep how to answer."""
        self.sends.append(send)
        return True


class _Transport(asyncio.Transport):
    """Sends nowhere."""

    def write(self, data: object) -> None:
        """Drop it."""

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """There is no buffer."""

    def get_write_buffer_size(self) -> int:
        """There is no buffer."""
        return 0


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Never called."""


def _microseconds(known: KnownHeads, requests: list[bytes]) -> float:
    fast = _AtOnce()
    protocol = bounded_protocol(Limits(), fast)
    protocol.known = known
    config = uvicorn.Config(_app, lifespan="off", log_config=None, http=protocol)
    config.load()
    connection = protocol(config=config, server_state=ServerState(), app_state={})
    connection.connection_made(_Transport())
    begun = time.process_time()
    for number in range(POSTS):
        connection.data_received(requests[number % LENGTHS])
        fast.sends.pop()(REPLY)
    spent = time.process_time() - begun
    connection.connection_lost(None)
    return spent / POSTS * 1e6


async def main() -> None:
    """Print the medians, and the share of a post."""
    random = Random(1)
    requests = [HEAD % size + b"x" * size for size in random.sample(range(300, 2500), LENGTHS)]
    pairs = [
        (_microseconds(_Nothing(), requests), _microseconds(KnownHeads(), requests)) for _ in range(ROUNDS)
    ]
    without, with_them = (median(column) for column in zip(*pairs, strict=True))
    saved = median(one - other for one, other in pairs)
    print(f"reading and answering a post, CPU: {without:.1f} µs parsed, {with_them:.1f} µs with a known head")
    print(f"saved: {saved:.1f} µs, {saved / POST_MICROSECONDS:.0%} of a post of {POST_MICROSECONDS} µs")


if __name__ == "__main__":
    uvloop.run(main())
