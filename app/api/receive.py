"""Reads the body of a request: a JSON document whole, NDJSON line by line, both in bounded memory."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Mapping
from functools import lru_cache
from types import TracebackType
from typing import NamedTuple, Self

from starlette.requests import Request
from starlette.types import Message, Receive

from app.dataplane import DataPlane
from app.errors import BodyTooLarge, MalformedBody, UnsupportedMedia
from app.ingest.body import Inflater, LineSplitter, inflater_for, pieces
from app.ingest.decode import InvalidItem, ItemLimits, Judged, judge_item

LINES_AT_ONCE = 500
LARGE_BODY_BYTES = 4 * 1024 * 1024
COLLECT_AFTER_SECONDS = 0.05


class Incoming(NamedTuple):
    """A request as far as its body is concerned."""

    headers: Mapping[bytes, bytes]
    """By their names in lower case."""
    receive: Receive

    @classmethod
    def of(cls, request: Request) -> Self:
        """That of a framework's request."""
        return cls(dict(request.scope["headers"]), request.receive)

    @property
    def media_type(self) -> str:
        """The media type of the body, in lower case.

        Raises:
            UnsupportedMedia: its charset is not UTF-8.
        """
        return media_type_of(self.headers)

    def inflater(self, limit: int) -> Inflater | None:
        """The decoder of the body, None when it is sent as it is."""
        coding = self.headers.get(b"content-encoding")
        return inflater_for(coding.decode("latin-1"), limit) if coding else None

    def checked_length(self, limit: int) -> int:
        """The declared length, 0 when none is."""
        length = self.headers.get(b"content-length", b"")
        if not length.isdigit():
            return 0
        if int(length) > limit:
            raise BodyTooLarge(
                f"the body has {int(length)} bytes, {limit} are allowed: split it, or send NDJSON"
            )
        return int(length)

    async def stream(self) -> AsyncIterator[bytes]:
        """The body's bytes as they arrive."""
        more = True
        while more:
            chunk, more = _chunk_of(await self.receive())
            yield chunk


def _chunk_of(message: Message) -> tuple[bytes, bool]:
    """The next bytes of a body, and whether there are more."""
    if message["type"] == "http.disconnect":
        raise MalformedBody("the client went away before the body was complete")
    return message.get("body", b""), message.get("more_body", False)


def media_type_of(headers: Mapping[bytes, bytes]) -> str:
    """The media type of a body with these headers, as `Incoming.media_type`."""
    return _media_type(headers.get(b"content-type", b""))


@lru_cache(256)
def _media_type(content_type: bytes) -> str:
    media, _, parameters = content_type.decode("latin-1").lower().partition(";")
    charset = re.search(r'charset="?([^";\s]+)', parameters)
    if charset and charset[1] not in ("utf-8", "utf8"):
        raise UnsupportedMedia(f"charset {charset[1]!r}: JSON is UTF-8 (RFC 8259)")
    return media.strip()


class WholeBody:
    """`async with` gives the whole body, inflated; until the end it counts against the budget of bodies.

    `most_bytes` replaces the limits of transactions, sent and inflated.

    Raises:
        BodyTooLarge: by its Content-Length, while it is read, or while it is inflated.
        Overloaded: the budget is used up.
    """

    def __init__(self, incoming: Incoming, plane: DataPlane, most_bytes: int | None = None) -> None:
        self._incoming, self._budget = incoming, plane.body_budget
        settings = plane.settings
        self._most = most_bytes or settings.max_body_bytes
        self._most_inflated = most_bytes or settings.max_inflated_bytes
        self._held = 0

    async def __aenter__(self) -> bytes:
        try:
            return await self._read()
        except BaseException:
            self._give_back()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._give_back()

    async def _read(self) -> bytes:
        incoming = self._incoming
        # Known to be too much, it is refused before it takes room from those that could be finished.
        self._budget.check(incoming.checked_length(self._most))
        inflater = incoming.inflater(self._most_inflated)
        chunks: list[bytes] = []
        sent, more = 0, True
        while more:
            chunk, more = _chunk_of(await incoming.receive())
            sent += len(chunk)
            if sent > self._most:
                raise BodyTooLarge(f"the body has more than {self._most} bytes: split it, or send NDJSON")
            for piece in (chunk,) if inflater is None else inflater.decode(chunk):
                self._budget.take(len(piece))
                self._held += len(piece)
                chunks.append(piece)
        if inflater is not None:
            inflater.finish()
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _give_back(self) -> None:
        self._budget.give_back(self._held)
        if self._held > LARGE_BODY_BYTES:
            # A refusal's traceback and frames hold each other and the body, until somebody collects.
            asyncio.get_running_loop().call_later(COLLECT_AFTER_SECONDS, gc.collect)


async def judged_lines(
    incoming: Incoming, plane: DataPlane, limits: ItemLimits
) -> AsyncIterator[list[Judged]]:
    """The lines that ended in each piece of NDJSON, judged; never waits for more than has come."""
    splitter, budget, held = LineSplitter(limits.max_item_bytes), plane.body_budget, 0
    try:
        inflater = incoming.inflater(plane.settings.max_inflated_bytes)
        async for piece in pieces(incoming.stream(), inflater):
            budget.take(len(piece))
            held += len(piece)
            lines = splitter.feed(piece)
            for start in range(0, len(lines), LINES_AT_ONCE):
                await asyncio.sleep(0)  # others are served between
                yield [_judge_line(line, limits) for line in lines[start : start + LINES_AT_ONCE]]
            budget.give_back(held - splitter.pending_bytes)
            held = splitter.pending_bytes
        rest = splitter.flush()
        if rest:
            yield [_judge_line(line, limits) for line in rest]
    finally:
        budget.give_back(held)


def _judge_line(line: bytes | int, limits: ItemLimits) -> Judged:
    if isinstance(line, int):
        return InvalidItem(f"the line has {line} bytes, {limits.max_item_bytes} are allowed")
    return judge_item(line, limits)
