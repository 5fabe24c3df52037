"""`POST /consumers/{name}/lease`, `/commit` and `/seek`, `GET /consumers` and `DELETE /consumers/{name}`.

    POST /consumers/bot/lease?wait_seconds=30     → {"lease": "bot~648e…~0-17", "transactions": [{…}, …], …}
    POST /consumers/bot/commit {"lease": "bot~648e…~0-17"}     → {"status": "committed"}

They are checked before (control_plane_checks.py), and answered by every process, as all lies in the store.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NamedTuple, TypeVar

import msgspec
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.addresses import CONSUMER, CONSUMERS
from app.api.data_plane_answers import json_start, send_json
from app.api.error_responses import problem_of
from app.api.json_body import read_small_json
from app.api.middleware import STEP_ASIDE, to_its_end
from app.api.query import NOW, OLDEST, Query, start_of
from app.consumer_errors import ReaderError, UnknownConsumer
from app.consumers.consumer_plane import ConsumerPlane
from app.consumers.cursor import Cursor, parse_cursor, store_mark
from app.consumers.ingest_priority import Pace
from app.consumers.lease_answer import lease_answer
from app.consumers.lease_name import parse_lease
from app.consumers.leases import NAME, Caller, LeaseWanted
from app.errors import HttpError, InvalidRequest, MalformedBody, ShuttingDown, StoreError
from app.ingest.data_plane import DataPlane
from app.models import CONSUMER_RULE
from app.server.exchange import CUT_OFF, GONE, LISTEN
from app.store.consumers import ConsumerFigures
from app.store.positions import Positions, Start

MOST_TRANSACTIONS: Final = 10_000
MOST_WAIT_SECONDS: Final = 60.0
MOST_LEASE_SECONDS: Final = 3600.0
_TRANSACTIONS, _WAIT_SECONDS = 500, 0.0


class _Commit(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a commit."""

    lease: str


class _Seek(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a seek."""

    to: str | int


_Body = TypeVar("_Body", _Commit, _Seek)


def endpoints(plane: ConsumerPlane, bodies: DataPlane) -> dict[tuple[str, str], ASGIApp]:
    """Return what answers, by method and path."""
    calls = ConsumerCalls(plane, bodies)
    return {
        ("GET", CONSUMERS): ConsumerEndpoint(calls.list),
        ("DELETE", CONSUMER[""].path): ConsumerEndpoint(calls.forget),
        ("POST", CONSUMER["/lease"].path): ConsumerEndpoint(calls.lease),
        ("POST", CONSUMER["/commit"].path): ConsumerEndpoint(calls.commit),
        ("POST", CONSUMER["/seek"].path): ConsumerEndpoint(calls.seek),
    }


class Asked(NamedTuple):
    """A request on consumers."""

    name: str
    """The consumer's name, empty if it is on all."""
    query: bytes
    headers: Mapping[bytes, bytes]
    receive: Receive
    send: Send


class ConsumerEndpoint:
    """Makes a handler an ASGI endpoint: looks at the name of the consumer, and answers errors."""

    def __init__(self, handle: Callable[[Asked], Awaitable[None]]) -> None:
        self._handle = handle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        name = scope["path"].removeprefix(CONSUMERS).removeprefix("/").partition("/")[0]
        headers = dict(scope["headers"])
        try:
            if name and not NAME.match(name):
                raise InvalidRequest(f"the name of a consumer is {CONSUMER_RULE}")
            await self._handle(Asked(name, scope["query_string"], headers, receive, send))
        except HttpError as error:
            members = error.members if isinstance(error, ReaderError) else {}
            await problem_of(error, **members)(scope, receive, send)


class ConsumerCalls:
    """What can be done with consumers, a handler each."""

    def __init__(self, plane: ConsumerPlane, bodies: DataPlane) -> None:
        """Act on this plane; bodies are read, and count, as those of posts."""
        self._plane, self._bodies = plane, bodies

    async def lease(self, asked: Asked) -> None:
        """Lease the next transactions, and wait for some if there are none."""
        plane, wanted, caller = self._plane, self._wanted(asked.query), Caller()
        with plane.calls.take(), plane.leasing.room() as room:
            await asked.send(STEP_ASIDE)
            await asked.send({"type": LISTEN, "on_news": caller.end})
            leases = await to_its_end(plane.leasing.lease(asked.name, wanted, caller, room))
            if caller.ended_by == GONE:
                return  # what was leased to it in that very moment runs out
            if leases is None:
                raise ShuttingDown("the gate is stopping; send this again to another one, or in a moment")
            answer = await lease_answer(asked.name, leases, plane.readers)
            room.resize(len(answer))
            await _send_in_pieces(answer, plane.piece_bytes, plane.readers.pace, asked.send)

    async def commit(self, asked: Asked) -> None:
        """Commit a lease."""
        lease = parse_lease((await self._body(asked, _Commit)).lease, asked.name)
        await send_json(asked.send, {"status": await to_its_end(self._plane.leasing.commit(lease))})

    async def seek(self, asked: Asked) -> None:
        """Move a consumer back or forth, inside what is kept."""
        to = _target((await self._body(asked, _Seek)).to)
        await to_its_end(self._plane.leasing.seek(asked.name, to))
        await send_json(asked.send, {"status": "moved"})

    async def forget(self, asked: Asked) -> None:
        """Forget a consumer."""
        if not await to_its_end(self._plane.consumers.forget(asked.name)):
            raise UnknownConsumer(f"there is no consumer {asked.name}")
        await send_json(asked.send, {"status": "forgotten"})

    async def list(self, asked: Asked) -> None:
        """Tell how far each consumer has come."""
        try:
            newest: Positions | None = await self._plane.readers.find(NOW)
        except StoreError:  # a partition is down whose end nobody knows; the others have figures
            newest = None
        figures = await self._plane.consumers.figures()
        await send_json(asked.send, {"consumers": [_figures(each, newest) for each in figures]})

    async def _body(self, asked: Asked, kind: type[_Body]) -> _Body:
        """Return the body of a request as what it should be.

        Raises:
            UnsupportedMedia, MalformedBody, BodyTooLarge, InvalidRequest: it is something else.
        """
        body = await read_small_json(self._bodies, asked.headers, asked.receive, CONSUMERS)
        try:
            return msgspec.json.decode(body, type=kind)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"the body: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise MalformedBody(f"the body is not JSON: {error}") from None

    def _wanted(self, query_string: bytes) -> LeaseWanted:
        query, settings = Query(query_string), self._plane.settings
        return LeaseWanted(
            query.whole("limit", _TRANSACTIONS, 1, MOST_TRANSACTIONS),
            query.seconds("wait_seconds", _WAIT_SECONDS, 0, MOST_WAIT_SECONDS),
            query.seconds("lease_seconds", settings.lease_seconds, 1, MOST_LEASE_SECONDS),
            query.start(OLDEST),
        )


async def _send_in_pieces(answer: bytes, most_bytes: int, pace: Pace, send: Send) -> None:
    """Answer 200 with JSON in pieces, a step each; the client's side takes one before the next is written."""
    await send(json_start(len(answer)))
    try:
        for at in range(0, len(answer), most_bytes):
            await pace.turn(of_answer=True)
            end = at + most_bytes
            piece = answer[at:end]
            pace.spent(time.perf_counter(), len(piece))
            await send({"type": "http.response.body", "body": piece, "more_body": end < len(answer)})
    except asyncio.CancelledError:
        await send({"type": CUT_OFF})  # the server's patience has ended with a client that does not read


def _target(to: str | int) -> Start | Cursor:
    """Return where to move a consumer."""
    if isinstance(to, str) and "-" in to:
        return parse_cursor(to, "to")
    return start_of(str(to), "to")


def _figures(consumer: ConsumerFigures, newest: Positions | None) -> dict[str, object]:
    place = None
    if newest is not None and len(consumer.ordinals) == len(newest.ordinals):
        cursor = Cursor(store_mark(newest.born_ms), consumer.before_ms, consumer.ordinals)
        place = cursor.text.decode()
    return {
        "name": consumer.name,
        "position": place,
        "lag": {"transactions": consumer.lag_transactions, "seconds": consumer.lag_seconds},
        "leases": consumer.leases,
        "delivered": consumer.delivered,
        "redelivered": consumer.redelivered,
        "missed": consumer.missed,
        "unknown_gaps": consumer.unknown_gaps,
        "called_ms": consumer.called_ms,
    }
