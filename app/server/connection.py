"""A connection in every state: what it holds, what it waits for, and how it ends.

After each event, and in each turn, `_update` asks three questions. How many bytes does the connection hold
(not parsed, not taken by the application, not sent, and a long head of the request under way), and is that
too much for all together? Is there work left over, for a turn of its own? And shall the transport read on?
While an application works on a body of 100 MB, some 64 KiB of it wait here and the client is held back by
TCP; once it takes them, reading goes on.

`_refuse` is the one way in which a request is refused, whatever the reason: answered if an answer can still
be read, cut off if not, and counted once.
"""

import asyncio
from typing import Any, ClassVar, cast

from starlette.types import ASGIApp

from app.server.addresses import Addresses
from app.server.client_side import ClientSide, client_side
from app.server.exchange import Exchange
from app.server.held_bytes import HeldBytes, Holding
from app.server.limits import ABORTED, LINGERING_REFUSED, Limits, RoundRobin, State
from app.server.receive_buffer import ReceiveBuffer
from app.server.responses import Refusals
from app.server.room_for_new import RoomForNew
from app.server.writer import NEVER, Deadline, LingeringClose, Writer

WAITING_BYTES = 64 * 1024  # of a body that the application does not take, and of requests behind it


class BoundedConnection(asyncio.Protocol):
    """One connection. It uses of uvicorn what `uvicorn_names.py` lists, and no more."""

    limits: ClassVar[Limits] = Limits()
    refusals: ClassVar[Refusals]
    held: ClassVar[HeldBytes]
    round_robin: ClassVar[RoundRobin]
    room: ClassVar[RoomForNew]
    extra: ClassVar[int] = 0
    """How many connections are past the limit, and are being told so."""
    # For the client to close once our side is ended, without a byte that comes; seconds.
    linger_seconds: ClassVar[float] = 2

    def __init__(
        self,
        config: Any,
        server_state: Any,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if not config.loaded:
            config.load()
        self._app: ASGIApp = config.loaded_app
        self._keep_alive_seconds: float = config.timeout_keep_alive
        self._server, self._app_state = server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._overdue)
        self._holding = Holding(self.held)
        self.received = ReceiveBuffer(self.limits)
        self._state = State.HEAD
        self._exchange: Exchange | None = None
        self._addresses: Addresses | None = None
        self._is_first = True  # no request has come yet
        self._is_last = False  # no further request is taken
        self._is_half_closed = False  # the client sends no more
        self._is_reading = True
        self._is_due = False  # there is a turn to come
        self._is_answered = False  # the answer was written, and has not gone out
        self._is_extra = False  # one connection too many
        self._idle_since = self._loop.time()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the header deadline, or refuse one connection too many."""
        self.transport = transport = cast("asyncio.Transport", transport)
        self._writer = Writer(transport, self._loop, self.limits.send_seconds, self._give_up)
        self._lingering = LingeringClose(
            transport, self._loop, self._deadline, self.limits, self.linger_seconds
        )
        connections = self._server.connections
        if len(connections) >= self.limits.connections and not self.room.make(connections, self._loop.time()):
            self._is_extra = True
            type(self).extra += 1
            self._refuse("too-many-connections")
            return
        connections.add(self)
        self._deadline.set(self._loop.time() + self.limits.header_seconds)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  how it ended makes no difference
        """Let go of all."""
        self._state = State.CLOSED
        self._server.connections.discard(self)
        type(self).extra -= self._is_extra
        self._deadline.end()
        self._writer.end()
        self.received.clear()
        self._holding.set(0)
        if self._exchange is not None:
            self._exchange.leave(is_lost=True)
            self._exchange = None

    def client_side(self) -> ClientSide:
        """Return what has become of the client; nobody is told while nothing is read."""
        is_told = self._is_reading and not self._is_half_closed
        return ClientSide.OPEN if is_told else client_side(self.transport)

    def give_up(self) -> None:
        """Count a request that is let go since the client has gone, and end the connection."""
        self.refusals.note("client-gone", has_begun=True)
        self.transport.abort()

    def pause_writing(self) -> None:
        """Start the deadline for a client that does not take what was written."""
        self._writer.pause()
        self._loop.call_soon(self._update)

    def write(self, *parts: bytes) -> None:
        """Send parts one behind another, as soon as the client's side has room; they are not copied."""
        self._writer.write(*parts)

    async def drain(self) -> None:
        """Wait until what was written has gone out."""
        await self._writer.drain()

    def bound_unsent(self) -> None:
        """Keep little in the kernel that the client's side has no room for yet."""
        self._writer.bound_unsent()

    def cut_off(self) -> None:
        """End the connection within an answer, so that the client does not take it for whole."""
        self._refuse_now("unfinished-answer")

    def _advance(self) -> None:
        """Do one turn's work with what has come."""
        raise NotImplementedError

    def _schedule(self) -> None:
        """Go on in the next turn of the loop, after others."""
        if not self._is_due:
            self._is_due = True
            self.round_robin.call_soon(self._loop, self._advance)

    def _update(self) -> None:
        """Count what is held, and find out what the connection waits for now."""
        state, raw, exchange = self._state, self.received.raw, self._exchange
        if state is State.CLOSED:
            return
        waiting, head = (exchange.body.size, exchange.head_bytes) if exchange is not None else (0, 0)
        if (
            (state is State.HEAD or state is State.ANSWER)
            and self._is_reading
            and not (raw or waiting or head or self._holding.size or self._writer.is_paused)
            and not (self._is_half_closed or (exchange is not None and self._is_last))
        ):
            return  # what most requests leave
        of_body = waiting + (len(raw) if state is State.BODY else 0)
        if not self._holding.set(len(raw) + waiting + head + self._writer.unsent_bytes, of_body, head):
            self._shed_load()
            return
        if raw and (state is State.DRAIN or (state is State.BODY and waiting < WAITING_BYTES)):
            self._schedule()
        self._read(self._wants_more(waiting))
        if state is State.BODY and exchange is not None:
            self._time_body(exchange)
        if self._is_half_closed and not self._is_due:
            self._end_what_was_cut_off()

    def _wants_more(self, waiting: int) -> bool:
        if self._is_due:
            return False
        if self._state is State.BODY:
            return waiting < WAITING_BYTES
        return self._state is not State.ANSWER or not (
            self._is_last or len(self.received.raw) >= WAITING_BYTES
        )

    def _read(self, wanted: bool) -> None:
        if wanted == self._is_reading or self.transport.is_closing():
            return
        self._is_reading = wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _time_body(self, exchange: Exchange) -> None:
        """Let the deadline of a body hold while nothing but the client holds the body up."""
        if not self._is_reading or exchange.is_waiting_for_continue:
            self._deadline.at = NEVER
        elif self._deadline.at == NEVER:
            self._deadline.set(self._loop.time() + self.limits.body_seconds)

    def _end_what_was_cut_off(self) -> None:
        if self._state is State.HEAD and not self.received.raw:
            self._close()
        elif self._state is State.HEAD or (self._state is State.BODY and not self.received.raw):
            self._refuse("incomplete-request")

    # How it ends.

    def _overdue(self) -> None:
        """Act on a deadline that has passed."""
        if self._state is State.BODY:
            self._refuse("body-timeout")
        elif self._state is State.DRAIN:
            self._linger()
        elif self._state is State.LINGER and self._writer.is_paused:
            # The answer is still going out, for which there is a deadline of its own.
            self._deadline.set(self._loop.time() + self.linger_seconds)
        elif self._state is State.LINGER:
            self.transport.abort()
        elif self.received.has_begun or self._is_first:
            self._refuse("header-timeout")
        else:
            self._close()

    def _give_up(self) -> None:
        self._refuse("send-timeout")

    def _shed_load(self) -> None:
        """Refuse something: all connections together hold too much, and this one has just grown."""
        if self._state is not State.ANSWER or self._writer.is_paused:
            self._refuse("connection-bytes")
        elif self.received.raw:
            # The request was begun, and what is begun is not answered as refused. Those behind it go.
            self._take_no_more()
            self.refusals.note("connection-bytes", has_begun=False, times=self._waiting_requests())
            self.received.clear()
            self._update()

    def _take_no_more(self) -> None:
        """Take no further request; the answer under way tells the client so, unless it has begun already."""
        self._is_last = True
        if self._exchange is not None:
            self._exchange.keeps_alive = False

    def _waiting_requests(self) -> int:
        """Count the requests that have come and were not begun; the rest of a body is none."""
        is_in_a_body = self._exchange is not None and not self._exchange.body.is_whole
        return 0 if is_in_a_body else self.received.requests()

    def _drop(self, size: int) -> None:
        if not self._lingering.drop(size):
            self._refuse("unread-body")

    def _refuse(self, reason: str) -> None:
        """Refuse what comes, at once; or, once the application has begun, if it asks for more of the body.

        It may be about to answer without the rest, as to `GET /livez` with a body, or have stored some lines:
        what it has carried out must not be called refused.
        """
        exchange, refusal = self._exchange, self.refusals[reason]
        is_at_work = exchange is not None and self._state is State.BODY and exchange.is_at_work
        if exchange is None or not is_at_work or refusal.status == ABORTED:
            self._refuse_now(reason)
            return
        exchange.refused, exchange.keeps_alive = refusal, False
        self._state, self._deadline.at = State.ANSWER, NEVER
        self.received.clear()
        exchange.wake()
        self._update()

    def _refuse_now(self, reason: str) -> None:
        """Answer with a refusal, if there can be an answer, and end the connection."""
        refusal, exchange = self.refusals[reason], self._exchange
        has_answered = self._state in (State.DRAIN, State.LINGER) or (exchange and exchange.has_answered)
        is_cut_off = refusal.status == ABORTED or bool(has_answered) or self._writer.is_paused
        # What is cut off is an answer, so its request was counted already.
        self.refusals.note(reason, has_begun=is_cut_off or (exchange is not None and exchange.has_begun))
        if self._state is State.ANSWER:
            self.refusals.note(reason, has_begun=False, times=self._waiting_requests())
        elif self._state is State.HEAD and reason == "connection-bytes":
            self.refusals.note(reason, has_begun=False, times=max(self._waiting_requests() - 1, 0))
        self._exchange = None
        if exchange is not None:
            exchange.leave()
        if is_cut_off:
            self.transport.abort()
            return
        has_body = exchange is None or not exchange.answers_head
        self._writer.write(refusal.response(self._server.default_headers, has_body=has_body))
        self._linger()

    def _linger(self) -> None:
        """End our side, and let the client read what was sent."""
        self._state = State.LINGER
        if self._exchange is not None:
            self._exchange.leave()
            self._exchange = None
        self.received.clear()
        if self._is_half_closed or (self._is_extra and self.extra > LINGERING_REFUSED):
            self.transport.close()
        elif not self.transport.is_closing():
            self._lingering.begin()
            self._update()

    def _close(self) -> None:
        self._state = State.CLOSED
        self._deadline.stop()
        self._holding.set(0)
        self.transport.close()
