"""`GET /stream`: everything that is accepted, as it comes, as NDJSON or as server-sent events.

    GET /stream?from=oldest&source=helius-a      {"cursor": "8d3f…", "signature": "5BNb…", "payload": {…}, …}

A stream gives its place among the requests under way back before it begins, and ends when its client goes,
when the server stops, or after `limit` lines. While its client does not read, it holds one piece of bytes.
"""

import asyncio
import re
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.addresses import STREAM
from app.api.error_responses import problem_of
from app.api.middleware import STEP_ASIDE
from app.api.query import NOW, Query
from app.consumers.consumer_plane import ConsumerPlane
from app.consumers.cursor import Cursor, parse_cursor
from app.consumers.stream_formats import Form, Look, Wanted
from app.consumers.stream_reader import LineLostError, StreamReader
from app.errors import HttpError, InvalidRequest
from app.models import SOURCE_PATTERN, SOURCE_RULE
from app.server.exchange import CUT_OFF, HALF_CLOSED, LISTEN, STOPPING
from app.store.positions import Start

EVENTS, NDJSON = b"text/event-stream", b"application/x-ndjson"
# The parameter of a media type in Accept with which NDJSON has the cursor in its heartbeats. A gate of an
# earlier version does not look at it, and a reader that does not give it has empty lines as ever.
HEARTBEAT = b"heartbeat=cursor"
MOST_LINES: Final = 10**15
# For a client to take what was written, and the rest of a line, after a stop: then it is cut off. The
# server's patience lasts longer.
STOP_SECONDS = 2.0
_SOURCE = re.compile(SOURCE_PATTERN)


def endpoints(plane: ConsumerPlane) -> dict[tuple[str, str], ASGIApp]:
    """Return what answers, by method and path."""
    return {("GET", STREAM): GetStream(plane)}


class _Asked(NamedTuple):
    """What a request asks for."""

    wanted: Wanted
    start: Start | Cursor


class GetStream:
    """Streams to readers (ASGI)."""

    def __init__(self, plane: ConsumerPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        try:
            asked = _asked(scope)
            with self._plane.streams.take():
                await send(STEP_ASIDE)
                reader = await self._reader(asked)
                await send(_head(asked.wanted.look.form))
                if scope["method"] == "HEAD":
                    await send(_body(b"", more=False))
                else:
                    await self._stream(reader, send)
        except HttpError as error:
            await problem_of(error)(scope, receive, send)

    async def _reader(self, asked: _Asked) -> StreamReader:
        """Return a reader at where to begin.

        Raises:
            UnknownCursor: the store does not have the place.
            StoreError: it cannot say.
        """
        readers, start, now_ms = self._plane.readers, asked.start, time.time_ns() // 1_000_000
        if isinstance(start, Cursor):
            newest = await readers.find(NOW)
            place, start_ms = start.place(newest), max(start.before_ms)
        else:
            place, start_ms = await readers.find(start), start if isinstance(start, int) else now_ms
            newest = place if start == NOW else await readers.find(NOW)
        is_same = newest.born_ms == place.born_ms
        return StreamReader(readers, asked.wanted, place, start_ms, newest if is_same else None)

    async def _stream(self, reader: StreamReader, send: Send) -> None:
        streaming, loop = asyncio.current_task(), asyncio.get_running_loop()

        def on_news(news: str) -> None:
            if news == HALF_CLOSED:
                reader.doubt()
                return
            reader.end()
            if news == STOPPING and streaming is not None:
                loop.call_later(STOP_SECONDS, streaming.cancel)

        await send({"type": LISTEN, "on_news": on_news})
        try:
            await send(_body(b"", more=True))  # the head goes out before there is a line
            while (piece := await reader.next_piece(self._plane.piece_bytes)) is not None:
                await send(_body(piece, more=True))
            await send(_body(b"", more=False))
        except (LineLostError, asyncio.CancelledError):
            await send({"type": CUT_OFF})


def _head(form: Form) -> dict[str, object]:
    media = EVENTS if form is Form.EVENTS else NDJSON
    # nginx would keep lines back until it has some kilobytes of them.
    headers = [(b"content-type", media), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    return {"type": "http.response.start", "status": 200, "headers": headers}


def _body(body: bytes, *, more: bool) -> dict[str, object]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _asked(scope: Scope) -> _Asked:
    """Return what a request asks for.

    Raises:
        InvalidRequest: a parameter cannot be taken.
    """
    query, headers = Query(scope["query_string"]), scope["headers"]
    accepted = _accepted(headers)
    form = Form.EVENTS if any(media == EVENTS for media, _ in accepted) else Form.LINES
    has_cursor = any(media == NDJSON and HEARTBEAT in parameters for media, parameters in accepted)
    look = Look(form, has_payload=query.flag("payload", default=True))
    limit = query.whole("limit", MOST_LINES, 1, MOST_LINES)
    return _Asked(Wanted(look, _sources(query), limit, has_cursor), _start(query, headers))


def _start(query: Query, headers: Iterable[tuple[bytes, bytes]]) -> Start | Cursor:
    """Return where to begin: behind the last event an EventSource had, which sends the same URL again."""
    start, after = query.start(NOW), query.one("after")
    if after is not None and query.one("from") is not None:
        raise InvalidRequest("from, after: give one of them")
    last = next((value for name, value in headers if name == b"last-event-id"), b"").decode("latin-1")
    if last:
        return parse_cursor(last, "Last-Event-ID")
    return start if after is None else parse_cursor(after, "after")


def _sources(query: Query) -> frozenset[str] | None:
    sources = query.every("source")
    if not all(map(_SOURCE.match, sources)):
        raise InvalidRequest(f"source: {SOURCE_RULE}")
    return frozenset(sources) or None


def _accepted(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, list[bytes]]]:
    """Return the media types that a client asks for by name, and the parameters of each."""
    accepted = b",".join(value for name, value in headers if name == b"accept").lower()
    parts = ([part.strip() for part in each.split(b";")] for each in accepted.split(b","))
    return [(media, parameters) for media, *parameters in parts]
