"""`POST /transactions` and `GET /transactions/{signature}`: the data plane, without the framework.

A framework's route costs more than all the rest of a single post (benchmarks/README.md), so posts are
dispatched ahead of it, by the middleware, to plain ASGI. One that is whole, plain and valid is taken by
`FastPosts` (fast_posts.py) even before ASGI; every other one, and what is wrong with it, comes here.
"""

import asyncio
import re
from mmap import mmap
from typing import Any

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.addresses import TRANSACTIONS
from app.api.data_plane_answers import DataRoute, check_stop, send_json, stopping
from app.api.error_responses import problem, problem_of
from app.api.fast_posts import single_answer
from app.api.middleware import to_its_end
from app.decode.arrays import decode_array, decode_items
from app.decode.body_reader import BodyReader, Headers, declared_length
from app.decode.client_gone import Left
from app.decode.error_messages import looks_like_lines
from app.decode.item import InvalidItem, ItemLimits, decode_item, is_array
from app.errors import HttpError, InvalidRequest, MalformedBody, RetryLater
from app.feeds.provider_hint import provider_hint
from app.ingest.admission import authorization, headers_of, source_named
from app.ingest.batch_summary import Summary
from app.ingest.data_plane import DataPlane
from app.models import SIGNATURE_PATTERN, SIGNATURE_RULE
from app.server.exchange import LEFT

LINES_AS_JSON = (
    "the body is NDJSON, an object a line: send it with the header `Content-Type: application/x-ndjson`"
)

_SIGNATURE = re.compile(SIGNATURE_PATTERN)


def routes(plane: DataPlane) -> list[Route]:
    """Return the routes of the data plane."""
    return [
        DataRoute(TRANSACTIONS, PostTransactions(plane), methods=["POST"]),
        DataRoute(f"{TRANSACTIONS}/{{signature:path}}", GetTransaction(plane), methods=["GET"]),
    ]


class PostTransactions:
    """Lets each transaction through once: one object, an array, or NDJSON read as it arrives."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        summary = Summary()
        query, headers = scope["query_string"], headers_of(scope["headers"])
        try:
            left = scope.get("extensions", {}).get(LEFT)
            document = await self._answer(query, headers, receive, left, summary)
        except HttpError as error:
            answer = self._failed(error, summary, query, headers)
        except asyncio.CancelledError:
            # The server's patience has ended. Nothing is with the store, which is waited for (`to_its_end`).
            answer = self._failed(stopping(summary, "lines"), summary, query, headers)
        else:
            await send_json(send, document)
            return
        await answer(scope, receive, send)

    def _failed(self, error: HttpError, summary: Summary, query: bytes, headers: Headers) -> Response:
        """Count a request that fails, and return its answer: the problem, and what was done before it."""
        if isinstance(error, RetryLater):
            self._plane.admission.count_refused(error, source_named(query, headers))
        return problem_of(error, **(summary.as_dict() if summary.is_shown else {}))

    async def _answer(
        self, query: bytes, headers: Headers, receive: Receive, left: Left | None, summary: Summary
    ) -> dict[str, Any]:
        limits, is_lines = self._plane.admission.admit(query, headers, declared_length(headers))
        async with self._plane.body(headers, receive, limits.default_source, left=left) as body:
            if is_lines:
                items, summary.is_shown = "line", True
                hint = await self._post_lines(body, limits, summary)
            else:
                items, document = "item", await body.whole()
                if not is_array(document, limits):
                    return await self._post_one(document, limits)
                hint = await self._post_array(document, body, limits, summary)
            if summary.items and summary.invalid == summary.items:
                summary.is_shown = True
                raise InvalidRequest(f"every {items} is invalid" + (f"; {hint}" if hint else ""))
        return summary.as_dict()

    async def _post_one(self, body: bytes | mmap, limits: ItemLimits) -> dict[str, Any]:
        self._plane.metrics.ingest_batch_size.observe(1)
        try:
            item = decode_item(body, limits)
        except InvalidItem as error:
            self._plane.submitter.count_invalid(limits.default_source)
            if looks_like_lines(body):
                raise MalformedBody(LINES_AS_JSON) from None
            hint = None if error.is_malformed else await provider_hint(body, limits)
            raise error.as_http_error() if hint is None else InvalidRequest(f"{hint} ({error})") from None
        answers = await to_its_end(self._plane.submitter.submit([item]))
        return single_answer(item, answers[0])

    async def _post_array(
        self, document: bytes | mmap, body: BodyReader, limits: ItemLimits, summary: Summary
    ) -> str | None:
        """Process an array; should all of it be invalid, return what it is instead, if that is known."""
        most = self._plane.settings.max_batch_items
        results = await decode_array(document, limits, most, body.turn, body.keep)
        self._plane.metrics.ingest_batch_size.observe(len(results))
        await to_its_end(self._plane.submitter.submit_batch(results, summary, limits.default_source))
        return await provider_hint(document, limits) if summary.invalid == summary.items else None

    async def _post_lines(self, body: BodyReader, limits: ItemLimits, summary: Summary) -> str | None:
        """Process NDJSON as it arrives, piece by piece; the client waits while the store is busy.

        Returns:
            What the first line is instead, should it be invalid, and that be known.
        """
        plane, held, hint = self._plane, 0, None
        try:
            async for lines in body.lines(limits.max_item_bytes):
                results = await decode_items(lines, limits)
                if not summary.items and isinstance(lines[0], bytes) and isinstance(results[0], InvalidItem):
                    hint = await provider_hint(lines[0], limits)
                plane.admission.check_pressure()
                await to_its_end(plane.submitter.submit_batch(results, summary, limits.default_source))
                check_stop()
                # Or a thousand bodies would each hold what came of 500 lines while they wait for their turns.
                del lines, results
                grown = summary.listed_bytes - held
                plane.body_budget.take(grown)
                held += grown
        finally:
            plane.body_budget.release(held)
        plane.metrics.ingest_batch_size.observe(summary.items)
        return hint


class GetTransaction:
    """Looks a transaction up, with who delivered it and how long after the first."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane = plane

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        signature: str = scope["path_params"]["signature"]
        try:
            self._plane.access.check_lookup(authorization(headers_of(scope["headers"])))
            if not _SIGNATURE.match(signature):
                raise InvalidRequest(f"signature: {SIGNATURE_RULE}")
            found = await self._plane.lookup.find(signature)
        except HttpError as error:
            await problem_of(error)(scope, receive, send)
            return
        if found is None:
            detail = f"GET {TRANSACTIONS}/{signature}: no transaction with this signature is kept; see /docs"
            await problem(404, "not-found", "There is nothing here", detail)(scope, receive, send)
            return
        await send_json(send, found)
