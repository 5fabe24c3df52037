"""HTTP/1.1 for `uvicorn.Config(http=...)`: a state machine with bounds on all that a client can hold.

`State` in `limits.py` says what the states are, and the table there which bound holds in which. One request
is read and answered at a time. What comes behind it waits as it came, and past some bytes is not read.
"""

from functools import partial
from typing import ClassVar

from app.metrics.catalogue import Metrics
from app.server.bodies import body_of
from app.server.connection import BoundedConnection
from app.server.deadline import NEVER
from app.server.exchange import Exchange
from app.server.fast_path import FastPath, Headers, Reply, WholeRequest
from app.server.heads import HEAD_END, Head, RefusedError, parse_head
from app.server.held_bytes import HeldBytes
from app.server.inbox import NO_HEAD
from app.server.known_heads import KnownHeads
from app.server.limits import Limits, State
from app.server.refusals import Refusals, header_lines
from app.server.replies import reply_bytes
from app.server.scope import Addresses, scope_of
from app.server.turns import Turns

# The first byte of what is no head, or one behind an empty line.
LINE_FEED_AND_RETURN = 0x0D


def bounded_protocol(
    limits: Limits, fast_path: FastPath | None = None, metrics: Metrics | None = None
) -> type["BoundedProtocol"]:
    """The protocol class with these limits, which its connections share what is shared of."""

    class Bounded(BoundedProtocol):
        bounds = limits
        refusals = Refusals(limits, metrics)
        fast = fast_path
        known = KnownHeads()
        held = HeldBytes(limits.held_bytes)
        turns = Turns()

    return Bounded


class BoundedProtocol(BoundedConnection):
    """What a connection does in each state; see `bounded_protocol`."""

    fast: ClassVar[FastPath | None] = None
    known: ClassVar[KnownHeads]

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take what has come as far as the state allows; the rest waits."""
        inbox, state = self.inbox, self._state
        if state is State.LINGER or state is State.CLOSED:
            self._drop(len(data))
            return
        if state is State.HEAD and not inbox.raw:
            # What most requests are: one head and perhaps its body, in one read. It is not copied.
            end = data.find(HEAD_END) + len(HEAD_END)
            if len(HEAD_END) <= end <= self.bounds.header_bytes and data[0] > LINE_FEED_AND_RETURN:
                self._open(data, end)
                return
        if (state is State.BODY or state is State.DRAIN) and not inbox.raw:
            if self._take_body(data, 0):
                self._settle()
            return
        inbox.raw += data
        if not self._is_due:
            self._advance()

    def eof_received(self) -> bool:
        """Let a client that has ended its side have its answers; True keeps the connection open for them."""
        self._is_half_closed = True
        if self._state in (State.BODY, State.ANSWER) or self.inbox.raw:
            self._settle()
            return True
        return False

    def resume_writing(self) -> None:
        """The client has taken all."""
        self._outbox.resume()
        if self._is_answered:
            self._is_answered = False
            self._go_on()
        elif self._state is not State.CLOSED:
            self._settle()

    # What the server and the memory guard call.

    def shutdown(self) -> None:
        """Close the connection, after the answer of the request under way."""
        self._is_last = True
        if self._exchange is not None:
            self._exchange.keeps_alive = False
        if self._state is State.HEAD:
            self._close()
        elif self._state is State.DRAIN:
            self._linger()

    def drop_if_idle(self, seconds: float) -> None:
        """Close the connection if for so long no request was under way or coming in."""
        if (
            self._state is State.HEAD
            and not self.inbox.raw
            and self._loop.time() - self._idle_since >= seconds
        ):
            self._close()

    # What an exchange calls.

    def read_on(self) -> None:
        """The application wants more of the body."""
        self._settle()

    def finish(self, exchange: Exchange) -> None:
        """The response is complete: go on with the next request, once the body of this one is over."""
        self._server.total_requests += 1
        if exchange is not self._exchange:
            return
        self._is_last |= not exchange.keeps_alive
        is_cut_off = exchange.refuse_rest is not None
        if self._state is State.ANSWER and not is_cut_off:
            self._end_answer()
        elif self._is_last:
            self._linger()
        else:
            self._state = State.DRAIN
            self._deadline.set(self._loop.time() + self.bounds.body_seconds)
            self._settle()

    def fail(self, exchange: Exchange) -> None:
        """The application has ended without a complete response."""
        if exchange is self._exchange:
            (exchange.refuse_rest or partial(self._refuse_now, "internal"))()

    # Each state's work.

    def _advance(self) -> None:
        """Do one turn's work with what has come."""
        self._is_due = False
        if self._state is State.HEAD:
            self._seek_head()
        elif self._state in (State.BODY, State.DRAIN):
            self._take_body(self.inbox.raw, 0)
        self._settle()

    def _seek_head(self) -> None:
        inbox, had_begun = self.inbox, self.inbox.has_begun
        try:
            end = inbox.head_end()
        except RefusedError as refused:
            self._refuse(refused.reason)
            return
        if end != NO_HEAD:
            self._open(inbox.raw, end)
        elif inbox.has_begun and not (had_begun or self._is_first):
            self._deadline.set(self._loop.time() + self.bounds.header_seconds)

    def _open(self, data: bytes | bytearray, end: int) -> None:
        """Begin with a request, whose head is whole; past its end is more."""
        self._is_first = False
        raw = bytes(data[:end])
        known = self.known.find(raw)
        if known is not None and self._is_taken(known[0], known[1], data, end, end + known[2]):
            return
        try:
            head = parse_head(raw, self.bounds.header_count)
        except RefusedError as refused:
            self._refuse(refused.reason)
            return
        if known is None and self.fast is not None and _may_take(self.fast, head):
            headers = {name: value for name, value in head.by_name.items() if name != b"content-length"}
            if self._is_taken(head.query, headers, data, end, end + head.length):
                self.known.note(raw, head, headers)
                return
        self._begin(head, data, end)

    def _is_taken(
        self, query: bytes, headers: Headers, data: bytes | bytearray, start: int, end: int
    ) -> bool:
        """Whether the fast path takes the request, of which the body begins and ends there."""
        if self.fast is None or not start <= end <= len(data):
            return False
        if not self.fast.take(WholeRequest(query, headers, bytes(data[start:end])), self._reply):
            return False
        self._state = State.ANSWER
        self._deadline.at = NEVER
        self.inbox.keep(data, end)
        if self.inbox.raw:
            self._settle()
        return True

    def _begin(self, head: Head, data: bytes | bytearray, end: int) -> None:
        """Start the application, unless what has come of the body, after the head, is wrong already."""
        server_headers = header_lines(self._server.default_headers)
        exchange = Exchange(self, head, body_of(head.length, self.bounds), server_headers)
        self._state, self._exchange = State.BODY, exchange
        self._deadline.set(self._loop.time() + self.bounds.body_seconds)
        if self._take_body(data, end):
            if self._addresses is None:
                self._addresses = Addresses.of(self.transport)
            scope = scope_of(head, self._addresses, self._app_state)
            task = self._loop.create_task(exchange.run(self._app, scope))
            self._server.tasks.add(task)
            task.add_done_callback(self._server.tasks.discard)
            self._settle()

    def _take_body(self, data: bytes | bytearray, start: int) -> bool:
        """Decode the next part of the body, which begins there, and keep the rest; False if refused."""
        exchange = self._exchange
        if exchange is None:
            return False
        body, size = exchange.body, exchange.body.size
        try:
            taken = body.take(bytes(data[start : start + body.turn_bytes]))
        except RefusedError as refused:
            self._refuse(refused.reason)
            return False
        self.inbox.keep(data, start + taken)
        if self._state is State.DRAIN:
            body.take_out()
            self._drop(taken)
        elif body.size > size:
            self._deadline.set(self._loop.time() + self.bounds.body_seconds)
        if body.is_whole:
            self._end_body()
        exchange.tell()
        return True

    def _end_body(self) -> None:
        self._deadline.at = NEVER
        if self._state is State.DRAIN:
            self._end_answer()
        elif self._state is State.BODY:
            self._state = State.ANSWER

    def _reply(self, reply: Reply) -> None:
        """Send what the fast path answers."""
        self._server.total_requests += 1
        if self._state is State.ANSWER:
            keeps = not self._is_last
            self._outbox.write(reply_bytes(reply, self._server.default_headers, keeps_alive=keeps))
            self._end_answer()

    def _end_answer(self) -> None:
        """Go on after an answer, once it has gone out."""
        self._exchange, self._state = None, State.ANSWER
        if self._outbox.is_behind:
            self._is_answered = True
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Await the next request, or end the connection."""
        if self._is_last:
            # What was not read, too, would reset the connection and take the answer with it.
            self._linger() if self.inbox.raw or not self._is_reading else self._close()
            return
        self._state = State.HEAD
        self._lingering.restart()
        self._idle_since = self._loop.time()
        self._deadline.set(self._idle_since + self._keep_alive_seconds)
        if self.inbox.raw:
            self._schedule()
        self._settle()


def _may_take(fast: FastPath, head: Head) -> bool:
    """Whether a fast path may take a request with this head."""
    return (
        head.path == fast.path
        and head.method == b"POST"
        and head.is_plain
        and head.keeps_alive
        and not head.expects_continue
    )
