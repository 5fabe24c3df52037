"""Reads the body of a request: a JSON document whole, NDJSON line by line, both in bounded memory."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from app.api.problems import problem_of
from app.dataplane import DataPlane
from app.errors import BodyTooLarge, HttpError, InvalidRequest, MalformedBody, UnsupportedMedia
from app.ingest.body import Inflater, LineSplitter, bounded, inflater_for, pieces
from app.ingest.decode import InvalidItem, ItemLimits, Judged, judge_item
from app.ingest.intake import Summary

LINES_AT_ONCE = 500
LARGE_BODY_BYTES = 4 * 1024 * 1024
COLLECT_AFTER_SECONDS = 0.05


def media_type(request: Request) -> str:
    """The media type of the body, in lower case.

    Raises:
        UnsupportedMedia: its charset is not UTF-8.
    """
    media, _, parameters = request.headers.get("content-type", "").lower().partition(";")
    charset = re.search(r'charset="?([^";\s]+)', parameters)
    if charset and charset[1] not in ("utf-8", "utf8"):
        raise UnsupportedMedia(f"charset {charset[1]!r}: JSON is UTF-8 (RFC 8259)")
    return media.strip()


@asynccontextmanager
async def read_json(
    request: Request, plane: DataPlane, most_bytes: int | None = None
) -> AsyncIterator[bytes]:
    """The whole body, inflated; it counts against the budget of bodies until it is answered.

    `most_bytes` replaces the limits of transactions, sent and inflated.

    Raises:
        BodyTooLarge: by its Content-Length, while it is read, or while it is inflated.
        Overloaded: the budget is used up.
    """
    limit = most_bytes or plane.settings.max_body_bytes
    budget, body = plane.body_budget, bytearray()
    # Known to be too much, it is refused before it takes room from those that could be finished.
    budget.check(_checked_length(request, limit))
    inflater = _inflater(request, most_bytes or plane.settings.max_inflated_bytes)
    try:
        async for piece in pieces(bounded(_stream(request), limit), inflater):
            budget.take(len(piece))
            body += piece
        yield bytes(body)
    finally:
        budget.give_back(len(body))
        if len(body) > LARGE_BODY_BYTES:
            # A refusal's traceback and frames hold each other and the body, until somebody collects.
            asyncio.get_running_loop().call_later(COLLECT_AFTER_SECONDS, gc.collect)


async def receive_lines(request: Request, plane: DataPlane, limits: ItemLimits) -> Response:
    """Process NDJSON as it arrives, chunk by chunk; the client waits while the store is busy."""
    summary, held = Summary(), 0
    try:
        async for judged in _chunks(request, plane, limits):
            plane.check_pressure()
            await plane.intake.admit_batch(judged, summary, limits.default_source)
            grown = summary.listed_bytes - held
            plane.body_budget.take(grown)
            held += grown
    except HttpError as error:
        return problem_of(error, **summary.as_dict())
    finally:
        plane.body_budget.give_back(held)
    plane.metrics.ingest_batch_size.observe(summary.items)
    if summary.items and summary.invalid == summary.items:
        return problem_of(InvalidRequest("every line is invalid"), **summary.as_dict())
    return Response(msgspec.json.encode(summary.as_dict()), media_type="application/json")


async def _chunks(request: Request, plane: DataPlane, limits: ItemLimits) -> AsyncIterator[list[Judged]]:
    """The lines that ended in each piece of the body, judged; never waits for more than has come."""
    splitter, budget, held = LineSplitter(limits.max_item_bytes), plane.body_budget, 0
    try:
        inflater = _inflater(request, plane.settings.max_inflated_bytes)
        async for piece in pieces(_stream(request), inflater):
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


def _inflater(request: Request, limit: int) -> Inflater | None:
    return inflater_for(request.headers.get("content-encoding", ""), limit)


def _checked_length(request: Request, limit: int) -> int:
    """The declared length, 0 when none is."""
    length = request.headers.get("content-length", "")
    if not length.isdecimal():
        return 0
    if int(length) > limit:
        raise BodyTooLarge(f"the body has {length} bytes, {limit} are allowed: split it, or send NDJSON")
    return int(length)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise MalformedBody("the client went away before the body was complete") from None
