"""One request that the application answers, and its response, as ASGI 3 has them: `scope`, `receive`, `send`.

    receive() → {"type": "http.request", "body": b"abcd", "more_body": False}
    send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1")]})
    send({"type": "http.response.body", "body": b"4"})

The head of the response waits for the first of its body, so that a small answer is one write. A response with
neither Content-Length nor a status without a body is chunked. What the application sends after the client has
gone, or was refused, goes nowhere.

An application whose answer takes long, such as a stream, has messages of our own beside ASGI's:

    send({"type": "tidegate.listen", "on_news": …})   call with HALF_CLOSED when the client sends no more and
                                                      may have gone, with STOPPING when the server stops, and
                                                      with GONE when the client has gone
    send({"type": "tidegate.cut_off"})                there is no proper end: end the connection without one

And `http.disconnect` has a `tidegate.problem` if the client is there, and the rest of its body is refused.
The application may answer with that problem, and add what it has done of the request. Any other answer is
dropped, and the client is told the problem as it is.

An application that works on a body for long asks `scope["extensions"][LEFT]` now and then: it answers None,
or the `http.disconnect` of a client that has gone, or is refused the rest.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

import structlog
from starlette.types import ASGIApp, Message

from app.server.addresses import Addresses
from app.server.body_framing import Body
from app.server.client_side import ClientSide
from app.server.heads import Head
from app.server.responses import Refusal, header_lines, status_line

log = structlog.get_logger()

NO_BODY_STATUSES = frozenset({204, 304})
LISTEN, CUT_OFF, LEFT = "tidegate.listen", "tidegate.cut_off", "tidegate.left"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HALF_CLOSED, STOPPING, GONE = "half closed", "stopping", "gone"
_ASGI = {"version": "3.0", "spec_version": "2.3"}
# What a connection takes anyway; the heads of most requests take less.
SMALL_HEAD_BYTES: Final = 4096


class Connection(Protocol):
    """The part of a connection that an exchange calls."""

    def write(self, *parts: bytes) -> None:
        """Send parts one behind another, as soon as the client's side has room."""

    async def drain(self) -> None:
        """Wait until what was written has gone out."""

    def read_on(self) -> None:
        """Read more of the body, which the application asks for."""

    def bound_unsent(self) -> None:
        """Keep little in the kernel that the client's side has no room for yet."""

    def client_side(self) -> ClientSide:
        """Return what has become of the client, be it unnoticed yet."""

    def give_up(self) -> None:
        """Count a request that is let go since the client has gone, and end the connection."""

    def finish(self, exchange: "Exchange") -> None:
        """Go on with the next request after a complete response."""

    def cut_off(self) -> None:
        """End the connection within an answer, so that the client does not take it for whole."""

    def fail(self, exchange: "Exchange") -> None:
        """Refuse a request whose application has ended without a complete response."""


class Exchange:
    """A request and its response."""

    def __init__(self, connection: Connection, head: Head, body: Body, server_headers: bytes) -> None:
        self.body = body
        self.head_bytes = head.held_bytes if head.held_bytes > SMALL_HEAD_BYTES else 0
        """How much the head takes, which the application has until it has answered; 0 if that is little."""
        self.answers_head, self._version = head.method == b"HEAD", head.version
        self.keeps_alive = head.keeps_alive
        self.is_waiting_for_continue = head.expects_continue and not body.is_whole
        self.has_begun = self.has_answered = self.is_complete = False
        self.refused: Refusal | None = None
        """Why the rest of the body is refused; the application hears of it if it asks for more."""
        self.is_refusal_told = self._is_overruled = False
        self._connection, self._server_headers = connection, server_headers
        self._is_gone = self._is_lost = self._has_told_the_end = self._has_probed = False
        self._on_news: Callable[[str], None] | None = None
        self._news: tuple[str, ...] = ()  # what has happened, each once
        self._waiter: asyncio.Future[None] | None = None
        self._start: bytes | None = None  # the head of the response, until its body begins
        self._left: int | None = None  # bytes of the response's body; None for a chunked one
        self._is_chunked = False

    async def run(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        """Let the application answer; it has its whole life in here."""
        if self._is_gone:
            return
        self.has_begun, scope["extensions"] = True, {LEFT: self.left}
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError:
            raise
        except Exception:
            log.exception("request failed", method=scope["method"], path=scope["path"])
        finally:
            if not self.is_complete and not self._is_gone:
                self._connection.fail(self)

    @property
    def is_at_work(self) -> bool:
        """Tell whether the application has begun, and not answered."""
        return self.has_begun and not self.has_answered

    async def receive(self) -> Message:
        """Return the next of the body, as much as has come; wait only if nothing has."""
        if self.is_waiting_for_continue:
            self._send_continue()
        while not (self._is_gone or self.is_complete):
            body = self.body
            # Whether all of it has come, and nothing is wrong with what ends it, such as its trailers.
            is_whole = body.is_whole and self.refused is None
            if body.size or (is_whole and not self._has_told_the_end):
                return self._take(body, is_whole=is_whole)
            if self.refused is not None:
                return self._refusal(self.refused)
            self._connection.read_on()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return {"type": "http.disconnect"}

    def left(self) -> Message | None:
        """Return the end of a request whose client has gone, or is refused the rest of its body."""
        side = ClientSide.OPEN if self._is_gone else self._connection.client_side()
        if side is ClientSide.RESET:
            self.leave(is_lost=True)
        elif side is ClientSide.ENDED:
            self._probe()
        if self._is_gone:
            if self._is_lost:
                self._connection.give_up()
            return {"type": "http.disconnect"}
        return self._refusal(self.refused) if self.refused is not None else None

    def _refusal(self, refused: Refusal) -> Message:
        self.is_refusal_told = True
        return {"type": "http.disconnect", "tidegate.problem": refused.problem}

    def _probe(self) -> None:
        """Send an interim response once to a client that sends no more, and may have closed.

        One that waits for its answer skips it, expected or not (RFC 9110, section 15.2). The kernel of one
        that has closed resets the connection, which the next call of `left` sees.
        """
        if self._version == "1.1" and not (self._has_probed or self.has_answered):
            self._has_probed = True
            self._connection.write(CONTINUE)

    def _send_continue(self) -> None:
        self.is_waiting_for_continue = False
        if not (self._is_gone or self.has_answered or self.body.size or self.body.is_whole):
            self._connection.write(CONTINUE)

    def _take(self, body: Body, *, is_whole: bool) -> Message:
        data = body.take_out()
        self._has_told_the_end = is_whole
        self._connection.read_on()
        return {"type": "http.request", "body": data, "more_body": not is_whole}

    def wake(self) -> None:
        """Let `receive` look again: something has come, or nothing will."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def tell(self, news: str) -> None:
        """Tell an application that listens, once of each kind; one that listens later is told then."""
        if news not in self._news:
            self._news += (news,)
            if self._on_news is not None:
                self._on_news(news)

    def leave(self, *, is_lost: bool = False) -> None:
        """Take no more from the application: the client has gone by itself, or was refused or answered."""
        self._is_gone, self._is_lost = True, is_lost
        self.body.close()
        self.wake()
        self.tell(GONE)
        self._on_news = None  # it refers to the application, which refers to this

    async def send(self, message: Message) -> None:
        """Write a message of the response; what is last does not wait for the client to read it."""
        if self.is_refusal_told and self.refused is not None and message["type"] == "http.response.start":
            # Any other answer is one of an application that does not know why the rest did not come.
            self._is_overruled = message["status"] != self.refused.status
        if self._is_gone or self._is_overruled:
            return
        if message["type"] == "http.response.start" and self._start is None and not self.has_answered:
            self._begin(message["status"], list(message.get("headers", ())))
        elif message["type"] == "http.response.body" and (self.has_answered or self._start is not None):
            await self._go_on(message.get("body", b""), more=message.get("more_body", False))
        elif message["type"] == LISTEN:
            self._on_news = message["on_news"]
            for news in self._news:
                message["on_news"](news)
        elif message["type"] == CUT_OFF:
            self._connection.cut_off()
        else:
            raise RuntimeError(f"{message['type']} is not what comes next in a response")

    def _begin(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lines = [(name.lower(), value) for name, value in headers]
        names = dict(lines)
        if self.is_waiting_for_continue:
            self.keeps_alive = False  # who was not told to send the body may send it or leave it out
        if b"close" in names.get(b"connection", b"").lower():
            self.keeps_alive = False
        elif not self.keeps_alive:
            lines.append((b"connection", b"close"))
        if b"content-length" in names:
            self._left = int(names[b"content-length"])
        elif self.answers_head or status in NO_BODY_STATUSES:
            self._left = 0
        elif self._version == "1.1":
            self._is_chunked = True
            self._connection.bound_unsent()
            lines.append((b"transfer-encoding", b"chunked"))
        # To HTTP/1.0, without either, the end of the body is that of the connection.
        block = header_lines(lines)
        if not block.count(b"\r") == block.count(b"\n") == len(lines) or b"\0" in block:
            raise RuntimeError("a header of the response has a line end in it")
        self._start = status_line(status) + self._server_headers + block + b"\r\n"

    async def _go_on(self, body: bytes, *, more: bool) -> None:
        if self.is_complete:
            raise RuntimeError("the response was complete already")
        parts = self._framed(body, more=more)
        self.is_waiting_for_continue, self.has_answered = False, True
        if self._start is not None:
            parts, self._start = (self._start, *parts), None
        if parts:
            self._connection.write(*parts)
        if not more:
            self.is_complete, self._on_news, self.head_bytes = True, None, 0
            self.wake()
            self._connection.finish(self)
        else:
            await self._connection.drain()

    def _framed(self, body: bytes, *, more: bool) -> tuple[bytes, ...]:
        """Return what goes out for a piece of the body; the piece itself is not copied.

        What a client does not take is held by whoever waits for it, as the pieces of a stream are by their
        reader. A copy would be held beside it.
        """
        if self.answers_head:
            return ()
        if self._is_chunked:
            chunk = (b"%x\r\n" % len(body), body, b"\r\n") if body else ()
            return chunk if more else (*chunk, b"0\r\n\r\n")
        if self._left is not None:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                raise RuntimeError("the response's body is not as long as its Content-Length")
        return (body,) if body else ()


def scope_of(head: Head, addresses: Addresses, state: dict[str, Any]) -> dict[str, Any]:
    """Return the scope of a request for the application (ASGI 3)."""
    return {
        "type": "http",
        "asgi": _ASGI,
        "http_version": head.version,
        "method": head.method.decode("ascii"),
        "scheme": "http",
        "path": head.decoded_path,
        "raw_path": head.path,
        "query_string": head.query,
        "root_path": "",
        "headers": head.fields,
        "client": addresses.client,
        "server": addresses.server,
        "state": state.copy(),
    }
