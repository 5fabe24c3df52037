"""Reads the body of a request: a JSON document whole, NDJSON line by line, both in bounded memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from mmap import mmap
from types import TracebackType
from typing import NamedTuple, Self

from starlette.requests import Request
from starlette.types import Message, Receive

from app.decode.body import BodyBuffer, Inflater, LineSplitter, Pacer, inflater_for, steps
from app.decode.item import ItemLimits, ItemResult, try_decode_item
from app.decode.turns import next_turn
from app.errors import BodyTooLarge, MalformedBody
from app.ingest.admission import checked_length, media_type
from app.ingest.plane import DataPlane

# What is judged without others being served between.
LINES_AT_ONCE = 500
LINE_BYTES_AT_ONCE = 256 * 1024


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
        return media_type(self.headers.get(b"content-type", b""))

    def inflater(self, limit: int) -> Inflater | None:
        """The decoder of the body, None when it is sent as it is.

        Raises:
            UnsupportedMedia: it is coded otherwise than with gzip.
        """
        return inflater_for(self.headers.get(b"content-encoding", b"").decode("latin-1"), limit)

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


class WholeBody:
    """`async with` gives the whole body, inflated, without a byte order mark and white space around it.

    Until the end it counts against the budget of bodies. `most_bytes` replaces the limits of transactions,
    sent and inflated.

    Raises:
        UnsupportedMedia: it is coded otherwise than with gzip.
        BodyTooLarge: by its Content-Length, while it is read, or while it is inflated.
        Overloaded: the budget is used up.
    """

    def __init__(self, incoming: Incoming, plane: DataPlane, most_bytes: int | None = None) -> None:
        self._incoming, self._budget = incoming, plane.body_budget
        settings = plane.settings
        self._most = min(most_bytes or settings.max_body_bytes, settings.max_body_bytes)
        self._most_inflated = min(most_bytes or settings.max_inflated_bytes, settings.max_inflated_bytes)
        self._held = 0

    async def __aenter__(self) -> bytes | mmap:
        try:
            return await self._read()
        except BaseException:
            self._budget.release(self._held)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._budget.release(self._held)

    async def _read(self) -> bytes | mmap:
        incoming, pace, gathered, sent = self._incoming, Pacer(), BodyBuffer(), 0
        self._budget.check(checked_length(incoming.headers, self._most))
        inflater = incoming.inflater(self._most_inflated)
        async for chunk in incoming.stream():
            sent += len(chunk)
            if sent > self._most:
                raise BodyTooLarge(f"the body has more than {self._most} bytes: split it, or send NDJSON")
            for piece in steps(chunk, inflater):
                self._budget.take(len(piece))
                self._held += len(piece)
                gathered.add(piece)
                await pace.spend(len(piece))
        if inflater is not None:
            inflater.finish()
        return await gathered.whole(pace)


class JudgedLines:
    """The lines of NDJSON, judged as they arrive; what is held of them counts as bodies do."""

    def __init__(self, incoming: Incoming, plane: DataPlane, limits: ItemLimits) -> None:
        self._incoming, self._limits = incoming, limits
        self._budget, self._most_inflated = plane.body_budget, plane.settings.max_inflated_bytes
        self._pace = Pacer()
        self._splitter = LineSplitter(limits.max_item_bytes)
        self._held = 0

    async def portions(self) -> AsyncIterator[list[ItemResult]]:
        """Judge the lines of each part of the body, some at a time; never waits for more than has come.

        Raises:
            MalformedBody, BodyTooLarge, Overloaded: as `WholeBody`; the lines before were whole.
        """
        try:
            inflater = self._incoming.inflater(self._most_inflated)
            async for chunk in self._incoming.stream():
                async for lines in self._portions_of(chunk, inflater):
                    yield self._judge(lines)
            if inflater is not None:
                inflater.finish()
            if lines := self._splitter.flush():
                yield self._judge(lines)
        finally:
            self._hold(0)

    async def _portions_of(self, chunk: bytes, inflater: Inflater | None) -> AsyncIterator[list[bytes | int]]:
        """The lines that end in a part of the body, so many at a time that others are served between."""
        lines, size = list[bytes | int](), 0
        for piece in steps(chunk, inflater):
            self._budget.take(len(piece))
            self._held += len(piece)
            ended = self._splitter.feed(piece)
            for start in range(0, len(ended), LINES_AT_ONCE):
                lines += ended[start : start + LINES_AT_ONCE]
                size += len(piece)
                if len(lines) >= LINES_AT_ONCE or size >= LINE_BYTES_AT_ONCE:
                    await next_turn()
                    yield lines
                    lines, size = [], 0
            if not lines:
                # Whoever asked is done with them: a part of 64 KiB may inflate to 32 MiB of lines.
                self._hold(self._splitter.pending_bytes)
            await self._pace.spend(len(piece))
        if lines:
            await next_turn()
            yield lines
            self._hold(self._splitter.pending_bytes)

    def _judge(self, lines: Sequence[bytes | int]) -> list[ItemResult]:
        return [try_decode_item(line, self._limits) for line in lines]

    def _hold(self, amount: int) -> None:
        self._budget.release(self._held - amount)
        self._held = amount
