"""HTTP/1.1 for `uvicorn.Config(http=...)`: what a connection does in each state.

A connection reads and answers one request at a time. What comes behind it waits as it came, and past some
bytes is not read. With the states of `limits.py`, two pipelined requests go like this:

    HEAD    `POST / HTTP/1.1␍␊Host: x␍␊Content-Length: 4␍␊␍␊ab`: the head is whole, the application starts
    BODY    `cdGET / HTTP/1.1␍␊…`: the body is whole with `cd`; what follows waits unparsed
    ANSWER  the application answers, and the answer goes out
    HEAD    `GET / HTTP/1.1␍␊…` is looked at in a later turn of the event loop, after other connections

A post that comes whole in one read, to the path of the fast path, skips BODY and the application: it is
handed over in `_is_taken`, and answered in `_reply`. If the application answers while the body still comes
in (a 413, say), the rest is read and dropped in DRAIN; after a last answer, in LINGER. How a connection
ends, what it holds and what it waits for is the same in all states, and stands in `connection.py`.
"""

from typing import ClassVar

from app.metrics.catalogue import Metrics
from app.server.addresses import Addresses
from app.server.body_framing import body_of
from app.server.connection import BoundedConnection
from app.server.exchange import HALF_CLOSED, STOPPING, Exchange, scope_of
from app.server.fast_path import FastPath, Headers, KnownHeads, Reply, WholeRequest, may_take, reply_bytes
from app.server.heads import HEAD_END, Head, RefusedError, parse_head
from app.server.held_bytes import HeldBytes
from app.server.limits import Limits, RoundRobin, State
from app.server.receive_buffer import NO_HEAD
from app.server.responses import Refusals, header_lines
from app.server.room_for_new import RoomForNew
from app.server.writer import NEVER

# The first byte of what is no head, or one behind an empty line.
LINE_FEED_AND_RETURN = 0x0D


def bounded_protocol(
    limits: Limits, fast_path: FastPath | None = None, metrics: Metrics | None = None
) -> type["BoundedProtocol"]:
    """Make the protocol class of a server with these limits, which its connections share."""

    class Bounded(BoundedProtocol):
        refusals = Refusals(limits, metrics)
        fast = fast_path
        known = KnownHeads()
        held = HeldBytes(limits.held_bytes)
        round_robin = RoundRobin()
        room = RoomForNew()

    Bounded.limits = limits
    return Bounded


class BoundedProtocol(BoundedConnection):
    """One connection of a server, which makes an object for each; `bounded_protocol` makes the class."""

    fast: ClassVar[FastPath | None] = None
    known: ClassVar[KnownHeads]

    # What the transport calls.

    def data_received(self, data: bytes) -> None:
        """Take what has come as far as the state allows; the rest waits."""
        received, state = self.received, self._state
        if state is State.LINGER or state is State.CLOSED:
            self._drop(len(data))
            return
        if state is State.HEAD and not received.raw:
            # What most requests are: one head and perhaps its body, in one read. It is not copied.
            end = data.find(HEAD_END) + len(HEAD_END)
            if len(HEAD_END) <= end <= self.limits.header_bytes and data[0] > LINE_FEED_AND_RETURN:
                self._open(data, end)
                return
        if (state is State.BODY or state is State.DRAIN) and not received.raw:
            if self._take_body(data, 0):
                self._update()
            return
        received.raw += data
        if not self._is_due:
            self._advance()

    def eof_received(self) -> bool:
        """Let a client that has ended its side have its answers; True keeps the connection open for them."""
        self._is_half_closed = True
        if self._exchange is not None:
            self._exchange.tell(HALF_CLOSED)
        if self._state in (State.BODY, State.ANSWER) or self.received.raw:
            self._update()
            return True
        return False

    def resume_writing(self) -> None:
        """Go on after an answer: the client has taken all of it."""
        self._writer.resume()
        if self._is_answered:
            self._is_answered = False
            self._go_on()
        elif self._state is not State.CLOSED:
            self._update()

    # What the server and the memory guard call.

    def shutdown(self) -> None:
        """Close the connection, after the answer of the request under way."""
        self._take_no_more()
        if self._exchange is not None:
            self._exchange.tell(STOPPING)
        if self._state is State.HEAD:
            self._close()
        elif self._state is State.DRAIN:
            self._linger()

    @property
    def idle_seconds(self) -> float:
        """Seconds since a request was under way or coming in; 0 while one is."""
        is_between = self._state is State.HEAD and not self.received.raw
        return self._loop.time() - self._idle_since if is_between else 0.0

    # What an exchange calls.

    def read_on(self) -> None:
        """Read more of the body, which the application asks for."""
        self._update()

    def finish(self, exchange: Exchange) -> None:
        """Go on with the next request after a complete response, once the body of this one is over."""
        self._server.total_requests += 1
        if exchange is not self._exchange:
            return
        self._is_last |= not exchange.keeps_alive
        if exchange.is_refusal_told and exchange.refused is not None:
            self.refusals.note(exchange.refused.reason, has_begun=True)
        if self._state is State.ANSWER and exchange.refused is None:
            self._end_answer()
        elif self._is_last:
            self._linger()
        else:
            self._state = State.DRAIN
            exchange.body.take_out()
            self._deadline.set(self._loop.time() + self.limits.body_seconds)
            self._update()

    def fail(self, exchange: Exchange) -> None:
        """Refuse a request whose application has ended without a complete response."""
        if exchange is self._exchange:
            self._refuse_now(exchange.refused.reason if exchange.refused is not None else "internal")

    # Each state's work.

    def _advance(self) -> None:
        """Do one turn's work with what has come."""
        self._is_due = False
        if self._state is State.HEAD:
            self._seek_head()
        elif self._state in (State.BODY, State.DRAIN):
            self._take_body(self.received.raw, 0)
        self._update()

    def _seek_head(self) -> None:
        received, had_begun = self.received, self.received.has_begun
        try:
            end = received.head_end()
        except RefusedError as refused:
            self._refuse(refused.reason)
            return
        if end != NO_HEAD:
            self._open(received.raw, end)
        elif received.has_begun and not (had_begun or self._is_first):
            self._deadline.set(self._loop.time() + self.limits.header_seconds)

    def _open(self, data: bytes | bytearray, end: int) -> None:
        """Begin with a request, whose head is whole; past its end is more."""
        self._is_first = False
        raw = bytes(data[:end])
        known = self.known.find(raw)
        if known is not None and self._is_taken(known[0], known[1], data, end, end + known[2]):
            return
        try:
            head = parse_head(raw, self.limits.header_count)
        except RefusedError as refused:
            self._refuse(refused.reason)
            return
        if known is None and self.fast is not None and may_take(self.fast, head):
            headers = {name: value for name, value in head.by_name.items() if name != b"content-length"}
            if self._is_taken(head.query, headers, data, end, end + head.length):
                self.known.note(raw, head, headers)
                return
        self._begin(head, data, end)

    def _is_taken(
        self, query: bytes, headers: Headers, data: bytes | bytearray, start: int, end: int
    ) -> bool:
        """Offer a request with the body `data[start:end]` to the fast path; False if it is not taken."""
        if self.fast is None or not start <= end <= len(data):
            return False
        if not self.fast.take(WholeRequest(query, headers, bytes(data[start:end])), self._reply):
            return False
        self._state = State.ANSWER
        self._deadline.at = NEVER
        if self.received.raw or end < len(data):  # else it came alone, in one read
            self.received.keep(data, end)
            self._update()
        return True

    def _begin(self, head: Head, data: bytes | bytearray, end: int) -> None:
        """Start the application, unless what has come of the body, after the head, is wrong already."""
        if self._addresses is None:
            self._addresses = Addresses.of(self.transport)
        server_headers = header_lines(self._server.default_headers)
        exchange = self._exchange = Exchange(self, head, body_of(head.length, self.limits), server_headers)
        if exchange.head_bytes and not self._holds_head(exchange, data, end):
            return
        self._state = State.BODY
        if head.length == 0:  # there is nothing to decode
            self.received.keep(data, end)
            self._end_body()
        else:
            self._deadline.set(self._loop.time() + self.limits.body_seconds)
            if not self._take_body(data, end):
                return
        scope = scope_of(head, self._addresses, self._app_state)
        task = self._loop.create_task(exchange.run(self._app, scope))
        self._server.tasks.add(task)
        task.add_done_callback(self._server.tasks.discard)
        self._update()

    def _holds_head(self, exchange: Exchange, data: bytes | bytearray, end: int) -> bool:
        """Count a long head, and what came after it; False if the request is refused, with nothing begun."""
        head, rest = exchange.head_bytes, len(data) - end
        if self._addresses is not None and self._addresses.client is not None:
            self._holding.sender = self._addresses.client[0]
        if self._holding.set(head + rest, 0 if exchange.body.is_whole else rest, head):
            return True
        self.received.keep(data, 0)  # so that the requests behind it are counted, too
        self._refuse("connection-bytes")
        return False

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
        self.received.keep(data, start + taken)
        if self._state is State.DRAIN:
            body.take_out()
            self._drop(taken)
        elif body.size > size:
            self._deadline.set(self._loop.time() + self.limits.body_seconds)
        if body.is_whole:
            self._end_body()
        exchange.wake()
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
            self._writer.write(reply_bytes(reply, self._server.default_headers, keeps_alive=keeps))
            self._end_answer()

    def _end_answer(self) -> None:
        """Go on after an answer, once it has gone out."""
        self._exchange, self._state = None, State.ANSWER
        if self._writer.is_paused:
            self._is_answered = True
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Await the next request, or end the connection."""
        if self._is_last:
            # What was not read, too, would reset the connection and take the answer with it.
            self._linger() if self.received.raw or not self._is_reading else self._close()
            return
        self._state = State.HEAD
        self._lingering.restart()
        self._idle_since = self._loop.time()
        self._deadline.set(self._idle_since + self._keep_alive_seconds)
        if self.received.raw:
            self._schedule()
        self._update()
