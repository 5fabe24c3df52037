"""The leaks that can be planted. Each keeps what it should let go of; `add` leaks one more."""

import asyncio
import itertools
import random
import socket
import time
from abc import ABC, abstractmethod
from array import array
from functools import cached_property
from typing import ClassVar, Protocol

import psutil
import zstandard
from prometheus_client import Counter

from app.metrics.catalogue import Metrics
from app.tasks import Tasks as Rounds

# Too large for CPython's own allocator: such bytes lie in the same heap as the memory of C libraries.
PAYLOAD_BYTES = 5500
ROUND_SECONDS = 0.1


class Host(Protocol):
    """What leaks: a runtime, or the parts of a worker."""

    metrics: Metrics


class Leak(ABC):
    """`each_bytes` is roughly what one takes, measured."""

    each_bytes: ClassVar[int]

    def __init__(self, host: Host) -> None:
        self.host = host
        self.numbers = itertools.count()
        self.kept: list[object] = []

    @abstractmethod
    async def add(self) -> None: ...

    def signature(self) -> str:
        return f"signature-{next(self.numbers):040}"


class Objects(Leak):
    """A map nobody purges: by signature, who delivered it and when."""

    each_bytes = 550

    async def add(self) -> None:
        self.kept.append({self.signature(): [(source, random.random()) for source in ("helius-a", "grpc-c")]})


class Payloads(Leak):
    """Large bytes objects in a list."""

    each_bytes = PAYLOAD_BYTES

    async def add(self) -> None:
        self.kept.append(random.randbytes(PAYLOAD_BYTES))


class Library(Leak):
    """Contexts of a C library, which takes its memory from `malloc`; Python has a small handle of each."""

    each_bytes = 115_000

    async def add(self) -> None:
        compressor = zstandard.ZstdCompressor(level=1)
        compressor.compress(random.randbytes(PAYLOAD_BYTES))
        self.kept.append(compressor)


class Connections(Leak):
    """Connections to the gate itself, which nobody closes: each is a bare socket, and what the server keeps.

    It takes 3,800 bytes; slower than that, so that 20,000 descriptors last for a minute. The clients' ends
    are kept as numbers: objects would lie between those of the server, on pages that could not be freed.
    """

    each_bytes = 6_000

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.clients = array("i")

    async def add(self) -> None:
        client = socket.socket()
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", self._port))
        await loop.sock_sendall(client, b"GET /livez HTTP/1.1\r\nHost: gate\r\n\r\n")
        self.clients.append(client.detach())

    @cached_property
    def _port(self) -> int:
        listening = (
            one for one in psutil.Process().net_connections("tcp") if one.status == psutil.CONN_LISTEN
        )
        return int(next(listening).laddr.port)


class Tasks(Leak):
    """Tasks that wait for what never comes."""

    each_bytes = 770

    async def add(self) -> None:
        self.kept.append(asyncio.create_task(_wait_for_ever(asyncio.get_running_loop().create_future())))


class Labels(Leak):
    """A metric with the signature as a label."""

    each_bytes = 900

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        registry = self.host.metrics.registry
        self.metric = Counter("planted", "A series a signature", ["signature"], registry=registry)

    async def add(self) -> None:
        self.metric.labels(self.signature()).inc()


async def _wait_for_ever(future: asyncio.Future[None]) -> None:
    await future


LEAKS: dict[str, type[Leak]] = {
    "objects": Objects,
    "payloads": Payloads,
    "library": Library,
    "connections": Connections,
    "tasks": Tasks,
    "labels": Labels,
}


class Planted:
    """A leak at a rate, also where the machine is too busy for a round each tenth of a second."""

    def __init__(self, leak: Leak, bytes_per_second: float) -> None:
        self._leak = leak
        self._each_second = bytes_per_second / leak.each_bytes
        self._due, self._last = 0.0, time.monotonic()

    def start(self, rounds: Rounds) -> None:
        """Leak from now on."""
        rounds.every(ROUND_SECONDS, "planted-leak", self._leak_some)

    async def _leak_some(self) -> None:
        now = time.monotonic()
        self._due += self._each_second * (now - self._last)
        self._last = now
        while self._due >= 1:
            self._due -= 1
            await self._leak.add()
