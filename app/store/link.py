r"""One connection to a server of the store: a call at a time, over hiredis, in RESP2.

A call is a command out, `*1\r\n$4\r\nPING\r\n`, and its reply in, `+PONG\r\n`. RESP2 needs no `HELLO`, which
proxies and ACLs refuse, and nothing is ever sent to a client that did not ask.

What a broken connection means depends on when it broke. One that the peer closed while it was idle has lost
nothing, and is not used again: the event loop has seen it, or the kernel knows of it, should the loop have
been busy since. Asking the kernel is a system call of 1 µs, which a connection that was used within the last
millisecond is spared. One that breaks while a call is under way leaves open whether that was carried out.
"""

import asyncio
import select
from typing import Any, cast

import hiredis

MOST_REPLY_BYTES = 256 << 20
UNSEEN_SECONDS = 0.001
_HANGUP = getattr(select, "POLLRDHUP", 0)  # a peer that has closed its side; Linux. Errors are told unasked.
Argument = bytes | str | int


def packed(command: tuple[Argument, ...]) -> bytes:
    """Return the bytes of a command as they are sent."""
    return bytes(hiredis.pack_command(command))  # type: ignore[arg-type]  # its stub asks for a tuple of one


class ReplyError(Exception):
    """The server answered with an error; `str()` is its text, as `MOVED 3999 10.0.0.2:6379`."""


class NotConnected(Exception):
    """No connection could be opened, so that nothing was sent; the cause says why."""


class TlsNotAnswered(ConnectionError):
    """The server takes the connection, and does not answer TLS: most likely it speaks none at that port."""


class AnswerLost(ConnectionError):
    """The connection broke after the command was given to it: the server may have carried it out, or not."""

    def __init__(self, text: str, *, is_gone: bool = False) -> None:
        super().__init__(text)
        self.is_gone = is_gone
        """True if a new connection broke, and a second one broke or could not be opened either."""


class Link(asyncio.Protocol):
    """Sends commands and returns their replies, one call at a time; a failed call closes the connection."""

    def __init__(self, deadline_seconds: float) -> None:
        self._deadline_seconds = deadline_seconds
        self._reader = hiredis.Reader(replyError=ReplyError, notEnoughData=self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[list[Any]] | None = None
        self._expected = 0
        self._replies: list[Any] = []
        self._received_bytes = 0
        self._hangups = select.poll()
        self._used_at = 0.0
        self._farewell = "the store closed the connection"
        self.is_fresh = True
        """Whether no call has been answered on it yet, except the login."""

    def is_open(self, now: float) -> bool:
        """Say whether it can take a call now, by the event loop's clock; close it when it cannot."""
        if self._transport is None:
            return False
        if now - self._used_at >= UNSEEN_SECONDS and self._hangups.poll(0):
            self.close()
            return False
        return True

    async def ask(self, packed: bytes, replies: int = 1) -> list[Any]:
        """Send commands, and wait for so many replies; an error among them is returned, not raised.

        Raises:
            AnswerLost: the connection broke.
            TimeoutError: the deadline passed; the connection is closed, since the replies may still come.
            hiredis.ProtocolError: what answers does not speak RESP.
        """
        if self._transport is None:
            raise self._lost()
        loop = asyncio.get_running_loop()
        self._answer, self._expected, self._replies = loop.create_future(), replies, []
        self._received_bytes = 0
        timer = loop.call_later(self._deadline_seconds, self._expire)
        self._transport.write(packed)
        try:
            answer = await self._answer
        except BaseException:  # a cancelled caller too: its reply must not be taken for that of the next call
            self.close()
            raise
        finally:
            timer.cancel()
            self._answer = None
        self.is_fresh, self._used_at = False, loop.time()
        return answer

    def close(self) -> None:
        """Close it at once; a call under way fails."""
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
        self._fail(self._lost())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note the transport; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)
        self._hangups.register(transport.get_extra_info("socket"), _HANGUP)

    def data_received(self, data: bytes) -> None:
        """Take replies; called by the event loop."""
        self._received_bytes += len(data)
        if self._received_bytes > MOST_REPLY_BYTES:
            self._break(hiredis.ProtocolError(f"an answer of more than {MOST_REPLY_BYTES} bytes"))
            return
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not self:
                self._take(reply)
        except hiredis.ProtocolError as error:
            self._break(error)

    def eof_received(self) -> None:
        """The peer has closed its side, so this one is closed too; called by the event loop."""
        self.close()

    def connection_lost(self, error: Exception | None) -> None:
        """Fail the call under way, if any; called by the event loop."""
        if error is not None:
            self._farewell = str(error)
        self.close()

    def _take(self, reply: Any) -> None:
        if self._answer is None or self._answer.done():
            # Nobody asked. A server at its limit of clients says so before it closes: "-ERR max number ...".
            self._farewell = str(reply)[:200]
            self.close()
            return
        self._replies.append(reply)
        if len(self._replies) == self._expected:
            self._answer.set_result(self._replies)

    def _expire(self) -> None:
        self._break(TimeoutError(f"no answer within {self._deadline_seconds:g} s"))

    def _lost(self) -> AnswerLost:
        said = [str(reply) for reply in self._replies if isinstance(reply, ReplyError)]
        return AnswerLost(said[0] if said else self._farewell)

    def _break(self, error: Exception) -> None:
        self._fail(error)
        self.close()

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
