"""One connection over a raw socket: what is sent and in which pieces, and all answers until it closes."""

import asyncio
import re
import socket
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import msgspec

# Only ends a conversation that hangs; longer than the gate's own deadline for what does not come.
GIVE_UP_SECONDS = 90.0
READ_BYTES = 65_536
SLUG = "urn:tidegate:problem:"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)


@dataclass(frozen=True)
class Answer:
    """One response."""

    status: int
    closes: bool
    """Whether it says that the connection ends with it."""
    signature: str = ""
    """Of the transaction that was accepted."""
    slug: str = ""
    """What kind of problem it names."""


@dataclass(frozen=True)
class Script:
    """What a client does on one connection."""

    pieces: tuple[bytes, ...]
    awaited: int
    """The answers that it reads before it goes on."""
    then: bytes | None
    """What it sends then; None when it ends its side of the connection instead."""
    is_head: bool = False
    """Whether an answer may say how long a body is that does not follow."""


@dataclass(frozen=True)
class Transcript:
    """What came back."""

    answers: tuple[Answer, ...]
    is_over: bool
    """Whether the server closed, in one way or another; False when it was given up."""


async def talk(address: tuple[str, int], script: Script) -> Transcript:
    """Play a script on a new connection."""
    with socket.socket() as connection:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = _Client(connection, script.is_head)
        with suppress(TimeoutError):
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await asyncio.get_running_loop().sock_connect(connection, address)
                await client.play(script)
        return Transcript(tuple(answers_in(bytes(client.received), script.is_head)), client.is_over)


class _Client:
    def __init__(self, connection: socket.socket, is_head: bool) -> None:
        self._connection, self._is_head = connection, is_head
        self._loop = asyncio.get_running_loop()
        self.received = bytearray()
        self.is_over = False

    async def play(self, script: Script) -> None:
        await self._send(script.pieces)
        while not self.is_over and self._count() < script.awaited:
            await self._read()
        if not self.is_over:
            await self._go_on(script.then)
        while not self.is_over:
            await self._read()

    def _count(self) -> int:
        return len(answers_in(bytes(self.received), self._is_head))

    async def _send(self, pieces: Iterable[bytes]) -> None:
        with suppress(ConnectionError):  # refused before all was sent: the answer is still to be read
            for piece in pieces:
                await self._loop.sock_sendall(self._connection, piece)
                # The server and the other clients have their turn, so that it mostly reads piece by piece.
                await asyncio.sleep(0)

    async def _go_on(self, then: bytes | None) -> None:
        if then is not None:
            await self._send((then,))
            return
        with suppress(OSError):  # closed already by the other side
            self._connection.shutdown(socket.SHUT_WR)

    async def _read(self) -> None:
        try:
            data = await self._loop.sock_recv(self._connection, READ_BYTES)
        except ConnectionError:
            data = b""
        self.received += data
        self.is_over = not data


def answers_in(data: bytes, is_head: bool) -> list[Answer]:
    """The complete final answers in what a server sent."""
    answers: list[Answer] = []
    while (end := data.find(b"\r\n\r\n")) >= 0:
        head, rest = data[:end], data[end + 4 :]
        status = int(head[9:12])
        if status < 200:
            data = rest
            continue
        body, data = _body_of(head, rest, is_head)
        if body is None:
            break
        answers.append(_answer(status, head, body))
    return answers


def _body_of(head: bytes, rest: bytes, is_head: bool) -> tuple[bytes | None, bytes]:
    """The body and what follows it; None for a body that is not complete."""
    length = _LENGTH.search(head)
    if is_head and (not rest or rest.startswith(b"HTTP/")):
        return b"", rest
    if length is not None:
        size = int(length[1])
        return (rest[:size], rest[size:]) if len(rest) >= size else (None, rest)
    if _CHUNKED.search(head):
        body, end, after = rest.partition(b"0\r\n\r\n")
        return (body.partition(b"\r\n")[2], after) if end else (None, rest)
    return b"", rest


def _answer(status: int, head: bytes, body: bytes) -> Answer:
    try:
        document = msgspec.json.decode(body)
    except msgspec.DecodeError:
        document = {}
    signature = document.get("signature", "") if document.get("status") == "accepted" else ""
    slug = str(document.get("type", "")).removeprefix(SLUG)
    return Answer(status, bool(_CLOSE.search(head)), signature, slug)
