"""What every load sends with: posts over keep-alive connections of its own, raw sockets and epoll.

A stream of posts says when each is due. A closed loop's are due at once, and its next one is asked for when
the last one is answered. At a constant rate a post that is due while its connection still waits for an answer
is sent when that is there, and its time counts from when it was due.

A post takes some 20 µs of CPU in all, so that the gate and not the client is what is measured.
"""

import re
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from http import HTTPStatus

PATIENCE_SECONDS = 20.0
# How soon a load notices that it is over.
LOOK_SECONDS = 0.25
AT_ONCE = 0.0
_ANSWER = re.compile(
    rb"HTTP/1\.1 (\d+) .*?\r\ncontent-length: (\d+)\r\n(?:.*?\r\n)?\r\n", re.IGNORECASE | re.DOTALL
)
_SENDING, _READING = select.EPOLLIN | select.EPOLLOUT, select.EPOLLIN

Post = tuple[float, bytes | bytearray]
"""When a post is due, by `time.monotonic`, and its body."""


@dataclass(frozen=True)
class Stream:
    """What goes over one connection, and over a new one when that ends."""

    path: str
    """Where a service takes the posts; empty for a store, whose posts are commands."""
    posts: Iterator[Post | None]
    """The posts in order; None while there is nothing to post."""


class Loader:
    """Sends the posts of its streams when they are due, and hands over the answers."""

    def __init__(
        self, port: int, streams: Sequence[Stream], take: Callable[[int, float, int, bytes], None]
    ) -> None:
        """Take a function that is given the answers.

        Its arguments are the number of the stream, when the post was due (sent, if that was at once), and the
        status and the body of the answer: 0 and why, when there was none.
        """
        self._port, self._streams, self._take = port, streams, take
        self._poll = select.epoll()
        self._channels: dict[int, _Channel] = {}
        self._by_descriptor: dict[int, int] = {}
        # Each stream is in one of these: its post waits for its time, or for an answer, or there is none.
        self._later: list[tuple[float, int, bytes | bytearray]] = []
        self._under_way: dict[int, float] = {}
        self._parked = list(range(len(streams)))

    def run(self, is_done: Callable[[], bool]) -> None:
        """Go on until it is done, or until all is sent and answered."""
        while not is_done():
            parked, self._parked = self._parked, []
            for stream in parked:
                self._go_on(stream)
            while self._later and self._later[0][0] <= time.monotonic():
                self._start(*heappop(self._later))
            if not self._later and not self._under_way and not self._parked:
                return
            self._wait()

    def close(self) -> None:
        """End all connections."""
        for channel in self._channels.values():
            channel.close()
        self._poll.close()

    def _go_on(self, stream: int) -> None:
        """Take the next post of a stream."""
        for post in self._streams[stream].posts:
            if post is None:
                self._parked.append(stream)
            elif post[0] <= time.monotonic():
                self._start(post[0], stream, post[1])
            else:
                heappush(self._later, (post[0], stream, post[1]))
            return

    def _start(self, due: float, stream: int, body: bytes | bytearray) -> None:
        if stream not in self._channels:
            channel = _Channel(self._poll, self._port, self._streams[stream].path)
            self._channels[stream], self._by_descriptor[channel.descriptor] = channel, stream
        self._under_way[stream] = due
        try:
            self._channels[stream].start(body)
        except OSError as error:
            self._lose(stream, error)

    def _wait(self) -> None:
        """Wait for answers until the next post is due."""
        if self._later:  # epoll alone would round the time up to a whole millisecond
            seconds = min(self._later[0][0] - time.monotonic(), LOOK_SECONDS)
            select.select([self._poll], [], [], max(0.0, seconds))
        events = self._poll.poll(0 if self._later else LOOK_SECONDS)
        for descriptor, event in events:
            self._handle(self._by_descriptor[descriptor], event)
        if not events:
            silent_since = time.monotonic() - PATIENCE_SECONDS
            for stream in [one for one in self._under_way if self._channels[one].since < silent_since]:
                self._lose(stream, f"no answer for {PATIENCE_SECONDS:g} s")

    def _handle(self, stream: int, event: int) -> None:
        channel = self._channels[stream]
        try:
            answer = channel.handle(event)
        except OSError as error:
            self._lose(stream, error)
            return
        if answer is not None and stream in self._under_way:
            self._take(stream, self._under_way.pop(stream) or channel.since, *answer)
            if channel.is_ending:
                self._disconnect(stream)
            self._go_on(stream)

    def _lose(self, stream: int, why: object) -> None:
        """Give up a connection, and what is under way over it."""
        self._disconnect(stream)
        if stream in self._under_way:
            self._take(stream, self._under_way.pop(stream), 0, str(why).encode())
            self._parked.append(stream)

    def _disconnect(self, stream: int) -> None:
        channel = self._channels.pop(stream)
        del self._by_descriptor[channel.descriptor]
        channel.close()


class _Channel:
    """One connection to a service, or to a store, with at most one request under way."""

    def __init__(self, poll: select.epoll, port: int, path: str) -> None:
        self.since, self.is_ending = 0.0, False
        self._poll, self._unsent, self._read = poll, memoryview(b""), b""
        self._socket = socket.socket()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self._socket.connect_ex(("127.0.0.1", port))  # when it fails, so does the first request
        self.descriptor = self._socket.fileno()
        poll.register(self.descriptor, _READING)
        lines = f"POST {path} HTTP/1.1", "Host: gate", "Content-Type: application/json", "Content-Length: "
        self._head = "\r\n".join(lines).encode() if path else b""

    def start(self, body: bytes | bytearray) -> None:
        """Send a request; what the kernel does not take at once goes out as it makes room."""
        self.since, self._read = time.monotonic(), b""
        head = b"%b%d\r\n\r\n" % (self._head, len(body)) if self._head else b""
        try:
            sent = self._socket.sendmsg([head, body])
        except BlockingIOError:  # not connected yet
            sent = 0
        self._unsent = memoryview(body)[sent - len(head) :] if sent >= len(head) else memoryview(head + body)
        if self._unsent:
            self._poll.modify(self.descriptor, _SENDING)

    def handle(self, event: int) -> tuple[int, bytes] | None:
        """Send or read on; the status and body of the answer, once it is there."""
        if event & select.EPOLLOUT and self._unsent:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
            if not self._unsent:
                self._poll.modify(self.descriptor, _READING)
        if not event & ~select.EPOLLOUT:
            return None
        read = self._socket.recv(65536)
        if not read:
            raise ConnectionError(f"the connection was closed: {self._read[:300]!r}")
        self._read = self._read + read if self._read else read
        return self._answer()

    def close(self) -> None:
        """End the connection, whatever is under way."""
        self._socket.close()

    def _answer(self) -> tuple[int, bytes] | None:
        if not self._head:  # a store answers a command by a line, which begins with `-` for an error
            status = 0 if self._read.startswith(b"-") else HTTPStatus.OK
            return (status, self._read) if self._read.endswith(b"\r\n") else None
        head = _ANSWER.match(self._read)
        if head is None or len(self._read) < head.end() + int(head[2]):
            return None
        self.is_ending = b"\r\nconnection: close" in head[0].lower()
        return int(head[1]), self._read[head.end() :]
