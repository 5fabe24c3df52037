"""Clients that read what comes out of a gate, each in a process of its own beside the one that loads it.

They do what a client does and no more: of each line they read the JSON, and keep the signature.
"""

import http.client
import json
import multiprocessing
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from math import inf
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import httptools
import msgspec

from benchmarks.common.background import punctual

READ_BYTES = 1 << 20
LOOK_SECONDS, QUIET_SECONDS = 0.1, 1.0
LAST_CHUNK = b"0\r\n\r\n"


class ReaderError(Exception):
    """A reader was not answered as it has to be; says how."""


class Gap(msgspec.Struct):
    """What left before it could be read; None: nobody knows how many."""

    transactions: int | None


class Line(msgspec.Struct):
    """A line of a stream or a transaction of a lease: the members that readers here need."""

    signature: str = ""
    gap: Gap | None = None


class Lease(msgspec.Struct):
    """The answer to a call for the next transactions: the members that readers here need."""

    lease: str | None
    transactions: list[Line]
    missed: int | None


class Order:
    """What the process of a reader hears from the one that started it, and tells it."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def begun(self) -> None:
        """Tell that the reader reads."""
        self._pipe.send(None)

    @property
    def is_over(self) -> bool:
        """Whether the reader has to end."""
        return self._pipe.poll()


class Reader:
    """A reader under way."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def stop(self) -> None:
        """Order the reader to end."""
        with suppress(BrokenPipeError):
            self._pipe.send(None)

    @cached_property
    def result(self) -> Any:
        """The figures of the reader, once it has ended."""
        return _received(self._pipe)


@contextmanager
def beside(work: Callable[..., Any], *arguments: object) -> Iterator[Reader]:
    """Run `work(order, *arguments)` in a process of its own; the block begins when it does, and stops it."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_run, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    reader = Reader(ours)
    try:
        _received(ours)
        yield reader
        reader.stop()
        _ = reader.result
    finally:
        process.terminate()
        process.join()


def _run(pipe: Connection, work: Callable[..., Any], arguments: tuple[object, ...]) -> None:
    punctual()
    try:
        pipe.send(work(Order(pipe), *arguments))
    except Exception as error:  # noqa: BLE001  whatever it is, the process that waits has to know
        pipe.send(error)


def _received(pipe: Connection) -> Any:
    try:
        found = pipe.recv()
    except EOFError:
        raise ReaderError("a reader ended without a result") from None
    if isinstance(found, Exception):
        raise found
    return found


@dataclass
class Tailed:
    """What came over a stream."""

    lines: int = 0
    size: int = 0
    missed: int = 0
    first: float = 0.0
    """When the first line had come, by `time.monotonic`, as all moments."""
    last: float = 0.0
    came: dict[str, float] = field(default_factory=dict)
    """When the line of each signature had come, where that was asked for."""
    cpu_seconds: float = 0.0
    is_complete: bool = False
    """Whether the body was ended as a chunked one is."""

    @property
    def rate(self) -> float:
        """Lines a second."""
        return self.lines / (self.last - self.first)


def tail(order: Order, port: int, query: str, wanted: int | None, is_timed: bool) -> Tailed:
    """Read a stream until so many lines have come, it ends, or nothing more comes after the order."""
    tailed, rest = Tailed(), b""
    pieces: list[bytes] = []
    decoder = msgspec.json.Decoder(Line)
    parser = httptools.HttpResponseParser(_Body(pieces, tailed))
    with closing(connected(port)) as stream:
        stream.sendall(head("GET", f"/stream{query}"))
        stream.settimeout(QUIET_SECONDS)
        order.begun()
        spent = time.process_time()
        while not (tailed.is_complete or (wanted and tailed.lines >= wanted)):
            try:
                read = stream.recv(READ_BYTES)
            except TimeoutError:
                if order.is_over:
                    break
                continue
            if not read:
                break
            now = time.monotonic()
            parser.feed_data(read)
            whole, end, rest = b"".join([rest, *pieces]).rpartition(b"\n")
            pieces.clear()
            if end:
                _note(tailed, decoder.decode_lines(whole), now, is_timed=is_timed)
    tailed.cpu_seconds = time.process_time() - spent
    return tailed


class _Body:
    """What the parser calls."""

    def __init__(self, pieces: list[bytes], tailed: Tailed) -> None:
        self._pieces, self._tailed = pieces, tailed

    def on_body(self, body: bytes) -> None:
        self._tailed.size += len(body)
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._tailed.is_complete = True


def _note(tailed: Tailed, lines: list[Line], now: float, *, is_timed: bool) -> None:
    for line in lines:
        if line.gap is not None:
            tailed.missed += line.gap.transactions or 0
        elif is_timed:
            tailed.came[line.signature] = now
    tailed.lines += sum(line.gap is None for line in lines)
    tailed.first, tailed.last = tailed.first or now, now


@dataclass
class Consumed:
    """What a consumer was handed."""

    leases: int = 0
    refused: int = 0
    """Calls that were answered 503; each was made again."""
    transactions: int = 0
    again: int | None = None
    """How many transactions came a second time; None where that was not watched."""
    missed: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0


class Wants(NamedTuple):
    """What a consumer is, and when it has enough."""

    name: str
    limit: int
    is_watched: bool = True
    """Whether the consumer keeps the signatures, to see which come a second time."""
    wanted: float = inf


def consume(order: Order, port: int, wants: Wants) -> Consumed:
    """Lease and commit until so many transactions were handed out, or the reader has to end."""
    consumed, seen = Consumed(), set[str]()
    decoder = msgspec.json.Decoder(Lease)
    name, limit, is_watched, wanted = wants
    ask = f"/consumers/{name}/lease?limit={limit}&wait_seconds=1"
    with closing(http.client.HTTPConnection("127.0.0.1", port)) as gate:
        order.begun()
        spent, since = time.process_time(), time.monotonic()
        while consumed.transactions < wanted and not order.is_over:
            lease = decoder.decode(_posted(gate, ask, b"", consumed))
            if lease.lease is None:
                continue
            if is_watched:
                seen.update(line.signature for line in lease.transactions)
            consumed.leases += 1
            consumed.transactions += len(lease.transactions)
            consumed.missed += lease.missed or 0
            body = json.dumps({"lease": lease.lease}).encode()
            _posted(gate, f"/consumers/{name}/commit", body, consumed)
    consumed.again = consumed.transactions - len(seen) if is_watched else None
    consumed.cpu_seconds, consumed.seconds = time.process_time() - spent, time.monotonic() - since
    return consumed


def _posted(gate: http.client.HTTPConnection, path: str, body: bytes, consumed: Consumed) -> bytes:
    """Post until it is answered otherwise than with 503."""
    while True:
        gate.request("POST", path, body, {"Content-Type": "application/json"})
        answer = gate.getresponse()
        read = answer.read()
        if answer.status == HTTPStatus.OK:
            return read
        if answer.status != HTTPStatus.SERVICE_UNAVAILABLE:
            raise ReaderError(f"{path}: {answer.status} {read[:300]!r}")
        consumed.refused += 1
        time.sleep(LOOK_SECONDS)


def replay(order: Order, listening: socket.socket, text: bytes, times: int) -> None:
    """Serve one stream that has the same lines so many times, as fast as they are taken."""
    chunk = b"%x\r\n%b\r\n" % (len(text), text)
    order.begun()
    with closing(listening.accept()[0]) as client:
        client.recv(READ_BYTES)
        client.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(times):
            client.sendall(chunk)
        client.sendall(LAST_CHUNK)


def connected(port: int, taken_bytes: int | None = None) -> socket.socket:
    """A connection that sends at once.

    With `taken_bytes` the kernel takes some more than so many for a client that does not read, instead of
    the megabytes to which its buffer grows otherwise.
    """
    one = socket.socket()
    if taken_bytes is not None:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, taken_bytes)  # before the handshake tells it
    one.connect(("127.0.0.1", port))
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def head(method: str, path: str, *lines: str) -> bytes:
    """The head of a request: its first line, `Host` and further lines."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: gate", *lines, "", ""]).encode()
