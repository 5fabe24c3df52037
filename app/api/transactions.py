"""`POST /transactions` and `GET /transactions/{signature}`: the data plane, plain ASGI.

A framework's route costs more than all the rest of a single post (benchmarks/README.md), so posts are
dispatched ahead of it (`front.py`). The routes' part of the OpenAPI document is in `data_plane_document.py`.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from starlette.routing import Match, Route
from starlette.types import Receive, Scope, Send

from app.api.answer import send_json, single_answer
from app.api.problems import problem, problem_of
from app.api.receive import Incoming, WholeBody, judged_lines
from app.dataplane import DataPlane
from app.errors import HttpError, InvalidRequest, UnsupportedMedia
from app.ingest.arrays import judge_array
from app.ingest.decode import InvalidItem, ItemLimits, decode_item, is_array
from app.ingest.intake import Summary
from app.models import DEFAULT_SOURCE, SIGNATURE_PATTERN, SOURCE_PATTERN
from app.settings import Settings

PATH = "/transactions"

_SOURCE = re.compile(SOURCE_PATTERN)
_SIGNATURE = re.compile(SIGNATURE_PATTERN)


class DataRoute(Route):
    """A route that says which one it is, as those of the framework do; metrics go by it."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether it is for this request, and what that adds to its scope."""
        match, child_scope = super().matches(scope)
        return match, {**child_scope, "route": self}


def routes(plane: DataPlane) -> list[Route]:
    """The routes of the data plane."""
    return [
        DataRoute(PATH, PostTransactions(plane), methods=["POST"]),
        DataRoute(f"{PATH}/{{signature:path}}", GetTransaction(plane), methods=["GET"]),
    ]


class PostTransactions:
    """Lets each transaction through once: one object, an array, or NDJSON read as it arrives."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        summary = Summary()
        try:
            document = await self._answer(scope, receive, summary)
        except HttpError as error:
            await problem_of(error, **(summary.as_dict() if summary.is_shown else {}))(scope, receive, send)
        else:
            await send_json(send, document)

    async def _answer(self, scope: Scope, receive: Receive, summary: Summary) -> dict[str, Any]:
        incoming = Incoming(dict(scope["headers"]), receive)
        self._plane.access.check_ingest(authorization(incoming.headers))
        self._plane.check_pressure()
        limits = item_limits(self._plane.settings, scope["query_string"], incoming.headers)
        match incoming.media_type:
            case "application/json":
                items = "item"
                async with WholeBody(incoming, self._plane) as body:
                    if not is_array(body):
                        return await self._post_one(body, limits)
                    await self._post_array(body, limits, summary)
            case "application/x-ndjson":
                items, summary.is_shown = "line", True
                await self._post_lines(incoming, limits, summary)
            case other:
                raise UnsupportedMedia(
                    f"Content-Type {other!r}: send application/json or application/x-ndjson"
                )
        if summary.items and summary.invalid == summary.items:
            summary.is_shown = True
            raise InvalidRequest(f"every {items} is invalid")
        return summary.as_dict()

    async def _post_one(self, body: bytes, limits: ItemLimits) -> dict[str, Any]:
        self._plane.metrics.ingest_batch_size.observe(1)
        try:
            item = decode_item(body, limits)
        except InvalidItem as error:
            self._plane.intake.count_invalid(limits.default_source)
            raise error.as_http_error() from None
        answers = await self._plane.intake.admit([item])
        return single_answer(item, answers[0])

    async def _post_array(self, body: bytes, limits: ItemLimits, summary: Summary) -> None:
        judged = await judge_array(body, limits, self._plane.settings.max_batch_items)
        self._plane.metrics.ingest_batch_size.observe(len(judged))
        await self._plane.intake.admit_batch(judged, summary, limits.default_source)

    async def _post_lines(self, incoming: Incoming, limits: ItemLimits, summary: Summary) -> None:
        """Process NDJSON as it arrives, chunk by chunk; the client waits while the store is busy."""
        plane, held = self._plane, 0
        try:
            async for judged in judged_lines(incoming, plane, limits):
                plane.check_pressure()
                await plane.intake.admit_batch(judged, summary, limits.default_source)
                grown = summary.listed_bytes - held
                plane.body_budget.take(grown)
                held += grown
        finally:
            plane.body_budget.give_back(held)
        plane.metrics.ingest_batch_size.observe(summary.items)


class GetTransaction:
    """Looks a transaction up, with who delivered it and how long after the first."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        signature: str = scope["path_params"]["signature"]
        try:
            self._plane.access.check_lookup(authorization(dict(scope["headers"])))
            if not _SIGNATURE.match(signature):
                raise InvalidRequest("signature: 1 to 128 visible ASCII characters without space")
            found = await self._plane.lookup.find(signature)
        except HttpError as error:
            await problem_of(error)(scope, receive, send)
            return
        if found is None:
            detail = f"GET {PATH}/{signature}: no transaction with this signature is kept; see /docs"
            await problem(404, "not-found", "There is nothing here", detail)(scope, receive, send)
            return
        await send_json(send, found)


def authorization(headers: Mapping[bytes, bytes]) -> str | None:
    """The header of that name."""
    value = headers.get(b"authorization")
    return value if value is None else value.decode("latin-1")


def item_limits(settings: Settings, query: bytes, headers: Mapping[bytes, bytes]) -> ItemLimits:
    """What a request's items may be, and the source of those that name none.

    Raises:
        InvalidRequest: it names a source that cannot be one.
    """
    source = headers.get(b"x-source", b"")
    return _item_limits(settings.max_payload_bytes, settings.max_payload_depth, query, source)


@lru_cache(256)
def _item_limits(max_payload_bytes: int, max_payload_depth: int, query: bytes, header: bytes) -> ItemLimits:
    named = [value for name, value in parse_qsl(query.decode("latin-1"), True) if name == "source"]
    source = named[-1] if named else header.decode("latin-1") or DEFAULT_SOURCE
    if not _SOURCE.match(source):
        where = "source" if named else "X-Source"
        raise InvalidRequest(f"{where}: 1 to 64 of A-Z a-z 0-9 . _ : -")
    return ItemLimits(max_payload_bytes, max_payload_depth, source)
