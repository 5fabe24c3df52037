"""uvicorn's HTTP/1.1 protocol, with bounds on what one client can hold: headers, time and connections.

uvicorn waits for ever for the rest of a request, and httptools takes 64 MiB of headers. Here every connection
has one timer, which runs only while a request is incomplete. Data that could hold too large a header goes to
the parser in parts that end where a header ends, so that header bytes can be counted. Of pipelined requests a
few are parsed, which take more memory than their bytes; others wait unparsed, and what is behind them unread.
"""

import asyncio
from collections.abc import Iterable
from functools import partial
from typing import ClassVar

import httptools
from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from app.http.fast_path import FastPath
from app.http.fast_protocol import FastProtocol
from app.http.flow import TimedFlow
from app.http.heads import Heads
from app.http.refusals import Limits, Refusal, Refusals

# The loop's clock and its timers have a resolution of one millisecond.
CLOCK_SECONDS = 0.001
NO_LENGTH = -1
MOST_PIPELINED = 16


def bounded_protocol(limits: Limits, fast_path: FastPath | None = None) -> type["BoundedProtocol"]:
    """The protocol class with these limits, for `uvicorn.Config(http=...)`."""

    class Bounded(BoundedProtocol):
        bounds = limits
        refusals = Refusals(limits)
        fast = fast_path
        heads = Heads()

    return Bounded


class BoundedProtocol(FastProtocol):
    """One connection within limits, without WebSockets; see `bounded_protocol`."""

    bounds: ClassVar[Limits] = Limits()
    refusals: ClassVar[Refusals] = Refusals(Limits())
    # For a refused client to read the answer: closing with bytes unread resets the connection, and loses it.
    linger_seconds: ClassVar[float] = 1

    flow: TimedFlow
    _timer: asyncio.TimerHandle | None = None
    _deaf = False  # what still comes in is dropped
    _whole: HTTPScope | None = None  # of the last request that came in completely
    _unread = 0  # bytes since the last piece of body, or of the header at hand
    _body_left = NO_LENGTH  # bytes; NO_LENGTH for a chunked one
    _since = 0.0  # the loop's time, seconds
    _later = b""  # what came behind pipelined requests

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn does
        """Start the header deadline, or refuse one connection too many."""
        if len(self.connections) >= self.bounds.connections:
            self._deaf = True
            self.transport = transport
            transport.write(self.refusals.connections.response(self.server_state.default_headers))
            transport.close()
            return
        super().connection_made(transport)
        self.ws_protocol_class = None
        self.flow = TimedFlow(transport, self.loop.time, self._is_behind)
        self._since = self.loop.time()
        self._watch(self.bounds.shortest_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer."""
        self._unwatch()
        super().connection_lost(exc)

    def drop_if_idle(self, seconds: float) -> None:
        """Close the connection if for so long no request was under way or coming in."""
        if self._unread or (self.cycle is not None and not self.cycle.response_complete):
            return
        timer = self.timeout_keep_alive_task
        since = timer.when() - self.timeout_keep_alive if timer is not None else self._since
        if self.loop.time() - since >= seconds:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Hand the data to the parser: at once if no header in it can be too large, else in parts."""
        if self._is_behind():  # some transports deliver what they had read already
            self._later += data
            return
        is_amid = self._unread or self.scope is not self._whole or self._deaf
        if is_amid or len(data) > self.bounds.header_bytes:
            self._take_parts(data)
            return
        if self.is_known(data):
            return
        self._unread = len(data)
        self.at_once = data
        self._feed(data)
        self.at_once = None
        self.leave_to_asgi()
        if self._unread or self.scope is not self._whole:
            self._take_stock(data)

    def _feed(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserError:
            self.leave_to_asgi()
            self._refuse(self.refusals.malformed)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])

    def _ignore_upgrade(self, rest: bytes) -> None:
        # The parser takes the body of such a request for the next request.
        if any(name in {b"content-length", b"transfer-encoding"} for name, _ in self.scope["headers"]):
            self._refuse_rest(self.cycle, self.refusals.upgrade)
        else:
            self._take_parts(rest)

    def on_body(self, body: bytes) -> None:
        """Note that there was some."""
        self._unread = 0
        FastProtocol.on_body(self, body)

    def on_message_complete(self) -> None:
        """Note which it was."""
        self._unread = 0
        self._whole = self.scope
        FastProtocol.on_message_complete(self)
        if self.cycle is not None and self.cycle.response_complete:
            self._keep_alive()

    def on_response_complete(self) -> None:
        """Go on with the next request; with what came behind it, if none waits any more."""
        super().on_response_complete()
        if self._later and not self.pipeline:
            self.loop.call_soon(self._go_on)

    def _is_behind(self) -> bool:
        """Whether requests, or bytes that may be some, wait until others are answered."""
        return bool(self.pipeline or self._later)

    def _go_on(self) -> None:
        data, self._later = self._later, b""
        if not self.transport.is_closing():
            self._take_parts(data)
            self.flow.resume_reading()

    def _keep_alive(self) -> None:
        """Replace the timeout that uvicorn set with the response, and dropped when more of the body came."""
        self._unset_keepalive_if_required()
        seconds, handler = self.timeout_keep_alive, self.timeout_keep_alive_handler
        self.timeout_keep_alive_task = self.loop.call_later(seconds, handler)

    def _take_stock(self, data: bytes) -> None:
        """Find out how far the incomplete request is that ends the data."""
        if self._in_body():
            self._begin_body()
        elif self._unread == 0:
            # Others came before it: count what follows the last header, but for the body of that. This is too
            # little if that body is chunked or has an empty line in it, never too much.
            header_end = data.rfind(b"\r\n\r\n") + 4
            self._unread = max(1, len(data) - header_end - len(self.cycle.body))
        self._await_rest(begins=True)

    def _take_parts(self, data: bytes) -> None:
        start = 0
        while start < len(data) and not self._deaf:
            if len(self.pipeline) >= MOST_PIPELINED:
                self._later = data[start:]
                return
            end = self._part_end(data, start)
            self._take(data[start:end])
            start = end

    def _part_end(self, data: bytes, start: int) -> int:
        """Where the part ends that holds no more than one header or body."""
        if self._body_left > 0 and self._in_body():
            return min(len(data), start + self._body_left)
        # The empty line that ends a header or a chunked body may have begun in the data before.
        line_end = data.find(b"\n", start, 3)
        if line_end >= 0:
            return line_end + 1
        header_end = data.find(b"\r\n\r\n", max(start - 3, 0))
        return header_end + 4 if header_end >= 0 else len(data)

    def _take(self, part: bytes) -> None:
        was_in_body = self._in_body()
        if self._unread + (0 if was_in_body else len(part)) > self.bounds.header_bytes:
            self._refuse(self.refusals.header_bytes)
            return
        begins = self._unread == 0 and not was_in_body
        self._unread += len(part)
        self._feed(part)
        if was_in_body:
            self._body_left -= len(part)
        elif self._in_body():
            self._begin_body()
        if self._unread or self._in_body():
            self._await_rest(begins)

    def _in_body(self) -> bool:
        """Whether the last request is past its header, and incomplete."""
        return self.scope is not self._whole and self.cycle is not None and self.cycle.scope is self.scope

    def _begin_body(self) -> None:
        self._unread = 0
        self._body_left = _content_length(self.scope["headers"]) - len(self.cycle.body)

    def _await_rest(self, begins: bool) -> None:
        """Start the deadline anew, if there is a reason to."""
        # The first request's deadline began with the connection; once a request is answered, one deadline is
        # for all that is left of its body.
        if self.cycle is not None and (begins or not (self._unread or self.cycle.response_complete)):
            self._since = self.loop.time()
        if self._timer is None:
            self._watch(self.bounds.shortest_seconds)

    def _watch(self, seconds: float) -> None:
        self._timer = self.loop.call_later(seconds, self._look)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """Refuse a request that is overdue; look again later at one that is not."""
        self._timer = None
        in_body = self._in_body()
        if self._deaf or not (in_body or self._unread or self.cycle is None):
            return
        deadline = self.bounds.body_seconds if in_body else self.bounds.header_seconds
        left = deadline - (self.loop.time() - max(self._since, self.flow.resumed_at))
        if self._is_held():
            self._watch(self.bounds.shortest_seconds)
        elif left >= CLOCK_SECONDS:
            self._watch(min(left, self.bounds.shortest_seconds))
        else:
            self._refuse(self.refusals.body_seconds if in_body else self.refusals.header_seconds)

    def _is_held(self) -> bool:
        """Whether it is the application that keeps the client from sending."""
        return self.flow.read_paused or (self._in_body() and self.cycle.waiting_for_100_continue)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer the request under way with a refusal, after those before it, and close."""
        if self._in_body():
            self._refuse_rest(self.cycle, refusal)
            return
        self._deaf = True
        if self.cycle is None or self.cycle.response_complete:
            self._hang_up(refusal)
        else:
            self.cycle.on_response = partial(self._answer_last, refusal)

    def _refuse_rest(self, cycle: RequestResponseCycle, refusal: Refusal) -> None:
        self._deaf = cycle.disconnected = True
        cycle.message_event.set()
        if self.pipeline and self.pipeline[0][0] is cycle:
            self.pipeline[0] = (cycle, partial(self._answer_in_turn, refusal))
        else:
            self._hang_up(None if cycle.response_started else refusal)

    def _answer_last(self, refusal: Refusal) -> None:
        self.on_response_complete()
        self._hang_up(refusal)

    async def _answer_in_turn(self, refusal: Refusal, *_: object) -> None:
        self._hang_up(refusal)

    def _hang_up(self, refusal: Refusal | None) -> None:
        if self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        self._unwatch()
        self._timer = self.loop.call_later(self.linger_seconds, self.transport.abort)
        if refusal is not None:
            self.transport.write(refusal.response(self.server_state.default_headers))
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()  # TLS has no half-closed connections


def _content_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    """Bytes; the parser has checked that it is a number, and that it is there once at most."""
    return next((int(value) for name, value in headers if name == b"content-length"), NO_LENGTH)
