r"""The connection to a server of the store: many calls at a time, over hiredis, in RESP2 or RESP3.

A call is a command out, `*1\r\n$4\r\nPING\r\n`, and its reply in, `+PONG\r\n`. A server answers the commands
of a connection in the order they came in, and replies carry no number. So those who wait stand in a queue,
and each reply belongs to the first of it. Say A, B and C are sent, and the caller of B is cancelled: B keeps
its place, so that its reply, which still comes, is dropped instead of being taken for that of C.

RESP3 adds a kind of message that nobody asked for, a push, which is told from a reply by its first byte. It
takes no place in the queue and is dropped.

What a broken connection means depends on when it broke. If the server closed it while no call was under way,
nothing is lost, and it is not used again. Mostly the event loop has told of that. If the loop was busy since,
only the kernel knows, and is asked before a call is sent (`is_open`): a system call of 2 µs, left out where
calls are under way and something was received within the last millisecond.

If it breaks while calls are under way, nobody knows which of them the server has carried out: they fail with
AnswerLost. One thing is known nevertheless. A server carries out a command when it has all of it, so one of
which the kernel has not taken the last byte was not carried out, and fails with NotSent. These are two:

- The server closed the connection after the kernel was asked. The write is refused, and the transport closes
  at once. (With TLS it does not tell of that.)
- It closed while more than MOST_UNSENT_BYTES waited here for the kernel. How much of them that took since is
  not told, but it had no room for all, so the last call that was given to the connection was not sent.
"""

import asyncio
import select
from collections import deque
from copy import copy
from time import monotonic
from typing import Any, cast

import hiredis

MOST_REPLY_BYTES = 256 << 20
MOST_UNSENT_BYTES = 1 << 20  # of commands that the kernel has not taken yet; the one that passes this is kept
_UNSEEN_SECONDS = 0.001
# Asks whether the peer has closed its side, which only Linux tells; of errors poll() tells unasked.
_HANGUP = getattr(select, "POLLRDHUP", 0)
Argument = bytes | str | int


def packed(command: tuple[Argument, ...]) -> bytes:
    """Return the bytes of a command as they are sent."""
    return bytes(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub asks for a tuple of one


class ReplyError(Exception):
    """The server answered with an error; `str()` is its text, as `MOVED 3999 10.0.0.2:6379`."""


class NotConnected(Exception):
    """No connection was opened that took the command, which was not carried out; the cause says why."""


class TlsNotAnswered(ConnectionError):
    """The server takes the connection, and does not answer TLS: most likely it speaks none at that port."""


class AnswerLost(ConnectionError):
    """The connection broke after the command was given to it: the server may have carried it out, or not."""

    def __init__(self, text: str, *, is_gone: bool = False) -> None:
        super().__init__(text)
        self.is_gone = is_gone
        """True if a new connection broke, and a second one broke or could not be opened either."""


class NotSent(AnswerLost):
    """The connection broke before the kernel had taken all of the command: it was not carried out."""


class Link(asyncio.Protocol):
    """Sends commands as they are given to it, and hands each reply to the call that has waited longest."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        # Asked for a reply of which not all has come, the reader returns this object, which no reply can be.
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()  # a call, and when it is overdue
        self._timer: asyncio.TimerHandle | None = None
        self._room = asyncio.Event()
        self._room.set()
        self._is_retired = False
        self._received_bytes = 0
        self._hangups = select.poll()
        self._heard_at = 0.0
        self._farewell = "the store closed the connection"  # said to calls that fail when it breaks
        self.is_fresh = True
        """Whether no call has been answered on it yet, except the login."""

    def is_open(self) -> bool:
        """Say whether the connection can take a call now, as far as the kernel knows.

        A server that has closed its side is sent nothing more. It may have answered before it did, so calls
        under way may still get their replies.
        """
        if self._transport is None or self._is_retired:
            return False
        is_heard_of = bool(self._waiting) and monotonic() - self._heard_at < _UNSEEN_SECONDS
        if not is_heard_of and self._hangups.poll(0):
            self.retire()
            return False
        return True

    @property
    def has_room(self) -> bool:
        """Whether the kernel takes what is sent: fewer than MOST_UNSENT_BYTES wait here for it to do so."""
        return self._room.is_set()

    async def await_room(self) -> None:
        """Wait until it has room, or is closed."""
        await self._room.wait()

    def send(self, packed: bytes) -> asyncio.Future[Any]:
        """Send one command that `packed` has made; its reply is the future's result, also if it is an error.

        A future that is cancelled disturbs no other call. Otherwise it fails with one of these:

        Raises:
            NotSent: the connection broke, and the command was not carried out.
            AnswerLost: the connection broke, and it may have been.
            TimeoutError: the call under way longest has passed its deadline. All others fail with it, and the
                connection is closed: a server answers in order, so it would answer none of them before.
            hiredis.ProtocolError: what answers does not speak RESP.
        """
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        if self._transport is not None:
            self._transport.write(packed)
        if self._transport is None or self._transport.is_closing():
            # It was closed, or the kernel refused the write: then the end of the connection is told later on.
            self.retire()
            answer.set_exception(NotSent(self._farewell))
            return answer
        self._waiting.append((answer, monotonic() + self._deadline_seconds))
        if self._timer is None:
            self._timer = loop.call_later(self._deadline_seconds, self._look_at_deadline)
        return answer

    def retire(self) -> None:
        """Close the connection as soon as no call is under way on it."""
        self._is_retired = True
        if not self._waiting:
            self.close()

    def close(self) -> None:
        """Close the connection at once; calls under way fail."""
        self._break(AnswerLost(self._farewell))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(MOST_UNSENT_BYTES)
        self._hangups.register(transport.get_extra_info("socket"), _HANGUP)

    def pause_writing(self) -> None:
        """The kernel takes no more for now; called by the event loop."""
        self._room.clear()

    def resume_writing(self) -> None:
        """The kernel has taken what there was; called by the event loop."""
        self._room.set()

    def data_received(self, data: bytes) -> None:
        """Take replies; called by the event loop."""
        self._heard_at = monotonic()
        self._received_bytes += len(data)
        reader = self._reader
        reader.feed(data)
        try:
            while (reply := reader.gets()) is not self:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self._break(error)
        if self._received_bytes > MOST_REPLY_BYTES:
            self._break(hiredis.ProtocolError(f"an answer of more than {MOST_REPLY_BYTES} bytes"))

    def eof_received(self) -> None:
        """The peer has closed its side, so this one is closed too; called by the event loop."""
        self._fail_unsent()
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the calls under way, if any; called by the event loop."""
        if error is not None:
            self._farewell = str(error)
        self._fail_unsent()
        self.close()

    def _take(self, reply: Any) -> None:
        """Hand a reply to the first of those who wait."""
        self._received_bytes = 0  # of the next reply; what of it came with the end of this one is left out
        if type(reply) is hiredis.PushNotification:
            return
        if not self._waiting:
            # Nobody asked. A server at its limit of clients says so before it closes: "-ERR max number ...".
            self._farewell = str(reply)[:200]
            self.close()
            return
        answer, _ = self._waiting.popleft()
        self.is_fresh = False
        if not answer.done():  # its caller was not cancelled
            answer.set_result(reply)
        if self._is_retired and not self._waiting:
            self.close()

    def _look_at_deadline(self) -> None:
        """Fail if the first call is overdue; else look again when it will be.

        One timer serves all calls: they become overdue in the order they were sent.
        """
        self._timer = None
        if not self._waiting:
            return
        left = self._waiting[0][1] - monotonic()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._look_at_deadline)
        else:
            self._break(TimeoutError(f"no answer within {self._deadline_seconds:g} s"))

    def _break(self, error: Exception) -> None:
        """Close the connection; each call under way fails with its own copy of the error and traceback."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._room.set()
        while self._waiting:
            _fail(self._waiting.popleft(), error)

    def _fail_unsent(self) -> None:
        """Fail the last call if it was not sent, once the peer has closed the connection."""
        if self._waiting and not self.has_room:
            _fail(self._waiting.pop(), NotSent(self._farewell))


def _fail(call: tuple[asyncio.Future[Any], float], error: Exception) -> None:
    if not call[0].done():  # its caller was not cancelled
        call[0].set_exception(copy(error))


async def reply_to(link: Link, sent: bytes) -> Any:
    """Send what `packed` has made, and return the reply; raises what `Link.send` does, and ReplyError."""
    reply = await link.send(sent)
    if isinstance(reply, ReplyError):
        raise reply
    return reply
