"""`POST /feeds/{feed}`: what a provider sends, as it sends it.

    POST /feeds/helius-a          [{"signature": "5h6x…", "type": "NFT_SALE", "accountData": …}, …]
    POST /feeds/quicknode-a       {"blockhash": "DJjp…", "transactions": [{"transaction": …}, …]}

The address says who sends, and the body what: its media type means nothing. A body is read whole, and where
its feed signs, verified before anything of it is parsed. Then it is stored part by part, as it is read: of a
block with 10,001 transactions others are served between, and what is wrong with one is listed and keeps none
of the others back, however much it is. A feed with a share of the rate has all transactions of a body taken
or none, so there the parts are collected first, and what is wrong is listed in either case.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from enum import StrEnum
from functools import partial
from itertools import product
from mmap import mmap
from typing import Any, Final

from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.addresses import BELOW_FEEDS, FEED
from app.api.cross_site import refuse_cross_site
from app.api.data_plane_answers import DataRoute, check_stop, send_json, stopping
from app.api.error_responses import problem_of
from app.api.middleware import to_its_end
from app.decode.arrays import Keep
from app.decode.body_reader import BodyReader
from app.decode.client_gone import ClientGone
from app.decode.columns import Columns
from app.decode.event_loop_turns import next_turn
from app.decode.item import InvalidItem, ItemResult
from app.errors import (
    BodyTooLarge,
    HttpError,
    InvalidRequest,
    MalformedBody,
    RateLimited,
    RetryLater,
    Unauthorized,
    UnsupportedMedia,
)
from app.feeds.body_parts import Collection, Part
from app.feeds.document_reader import UnknownShape
from app.feeds.feed import Feed
from app.feeds.feed_rules import SKIPPABLE
from app.feeds.provider_body import read_provider_body
from app.feeds.shape_names import Shape
from app.feeds.webhook_hmac import BodySignature
from app.ingest.admission import feed_named
from app.ingest.batch_summary import MAX_LISTED, Summary
from app.ingest.data_plane import DataPlane
from app.ingest.rejections import INVALID_TRANSACTION, REASONS, SHOWN_BYTES, UNKNOWN_SHAPE
from app.metrics.source_limit import OTHER_SOURCE
from app.server.exchange import LEFT

# Transactions of one part: so many are decoded without others being served between.
PART_ITEMS: Final = 500
# A signature takes a pass over the body, which a thread does meanwhile: 3 ms for 4 MiB.
_VERIFIED_AT_ONCE_BYTES: Final = 128 * 1024
_GZIP: Final = b"\x1f\x8b"
# A body that is refused so counts as one invalid transaction: how many it holds nobody knows.
_UNREADABLE: Final = (InvalidRequest, MalformedBody, BodyTooLarge, UnsupportedMedia)


class BodyOutcome(StrEnum):
    """What became of a body whose sender may send to the feed; one that has to come again is not counted."""

    TAKEN = "taken"
    """Something in the body was stored or known, or the body was empty."""
    REJECTED = "rejected"
    """Nothing in the body could be read as a valid transaction."""


def route(plane: DataPlane) -> Route:
    """Return the route of all feeds."""
    return DataRoute(FEED.path, PostFeed(plane), methods=["POST"])


class PostFeed:
    """Takes bodies of providers (ASGI)."""

    def __init__(self, plane: DataPlane) -> None:
        self._plane, metrics = plane, plane.metrics
        # A feed that is declared is counted under its name however many others come before it.
        feeds = [OTHER_SOURCE, *map(metrics.source_limit.label, plane.feeds.declared)]
        metrics.feed_bodies_total.start(*product(feeds, BodyOutcome))
        metrics.feed_documents_total.start(*product(feeds, Shape))
        metrics.feed_skipped_total.start(*product(feeds, SKIPPABLE))
        metrics.feed_rejected_total.start(*product(feeds, REASONS))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        request = _FeedRequest(self._plane, scope)
        try:
            document = await request.take(receive)
        except HttpError as error:
            answer = request.failed(error)
        except asyncio.CancelledError:
            # The server's patience has ended. Nothing is with the store, which is waited for (`to_its_end`).
            answer = request.failed(stopping(request.summary, "transactions"))
        else:
            await send_json(send, document)
            return
        await answer(scope, receive, send)


class _FeedRequest:
    """One request to a feed."""

    def __init__(self, plane: DataPlane, scope: Scope) -> None:
        self._plane, self._scope = plane, scope
        self._name: str = scope["path"].removeprefix(BELOW_FEEDS)
        self._headers = dict(scope["headers"])
        self._begin = b""
        self._is_noted = False  # the failure stands in the rejections already
        self._is_verified = False  # the sender is known
        self._held = 0  # bytes of the lists in the summary
        self.summary = Summary(skipped=0)

    async def take(self, receive: Receive) -> dict[str, Any]:
        """Store what the request brings, and return the answer.

        Raises:
            HttpError: none of it was taken; or not all, and the summary has what was.
            CancelledError: the gate stops; the summary has what was taken.
        """
        plane, summary = self._plane, self.summary
        feed = plane.feeds.get(self._name)
        plane.admission.admit_sender(feed, self._scope["headers"])
        refuse_cross_site(self._headers)  # a form's media type would do here, unlike at POST /transactions
        left = self._scope.get("extensions", {}).get(LEFT)
        async with plane.feed_body(self._headers, receive, self._name, left) as body:
            signed = await self._verified(body, feed)
            self._is_verified = True
            limits = plane.admission.admit_feed(self._name, self._scope["query_string"], self._headers)
            document = await body.whole() if signed is None else signed
            self._begin = document[:SHOWN_BYTES]
            if self._begin.startswith(_GZIP):
                raise MalformedBody(
                    "the body begins like gzip (1f 8b): send it with `Content-Encoding: gzip`"
                )
            most = min(PART_ITEMS, plane.settings.max_batch_items)
            parts = read_provider_body(document, limits, feed.rules, most, body.turn, body.keep)
            is_shared = feed.transactions_per_second is not None
            await self._store(self._within_share(parts, body.keep) if is_shared else parts)
        plane.metrics.ingest_batch_size.observe(summary.items)
        if summary.invalid and summary.invalid == summary.items + (summary.skipped or 0):
            self._is_noted = True
            self._count_body(BodyOutcome.REJECTED)
            raise InvalidRequest(f"nothing in it is a valid transaction; the first: {summary.first_detail}")
        self._count_body(BodyOutcome.TAKEN)
        return summary.as_dict()

    def failed(self, error: HttpError) -> Response:
        """Count a request that fails, and return its answer: the problem, and what was done before it."""
        plane, source = self._plane, feed_named(self._name)
        if isinstance(error, RetryLater):
            plane.admission.count_refused(error, source)
        if error.slug in REASONS and not self._is_noted:
            if self._is_verified or isinstance(error, Unauthorized):
                plane.rejections.note(source, error.slug, str(error), self._begin)
                if isinstance(error, _UNREADABLE):
                    plane.submitter.count_invalid(source)
                    self._count_body(BodyOutcome.REJECTED)
            elif not isinstance(error, ClientGone):
                # Nothing of it is invalid: anybody could make the feed look broken, and have its alert fire.
                plane.rejections.note(source, error.slug, f"the sender is not verified: {error}", None)
        return problem_of(error, **(self.summary.as_dict() if self.summary.items else {}))

    def _count_body(self, outcome: BodyOutcome) -> None:
        metrics = self._plane.metrics
        label = metrics.source_limit.label(feed_named(self._name))
        metrics.feed_bodies_total.labels(label, outcome).inc()

    async def _verified(self, body: BodyReader, feed: Feed) -> bytes | mmap | None:
        """Return the body of a feed that signs; None for others, whose body is not read yet."""
        if feed.signature is None:
            return None
        verify = partial(self._verify, feed.signature)
        return await body.verified(verify, over_inflated=feed.over_inflated)

    async def _verify(self, signature: BodySignature, body: Sequence[bytes | mmap]) -> None:
        """Return if the body is signed; from then on its sender is known, also if its gzip is broken.

        A long one is hashed while others are served.

        Raises:
            Unauthorized: it is not.
        """
        if sum(map(len, body)) <= _VERIFIED_AT_ONCE_BYTES:
            signature.verify(self._headers, body, time.time())
        else:
            await asyncio.to_thread(signature.verify, self._headers, body, time.time())
        self._is_verified = True

    async def _within_share(self, parts: AsyncIterator[Part], keep: Keep) -> AsyncIterator[Part]:
        """Yield the parts of a body once its feed has room for all of its transactions.

        `keep` counts what is taken by what is wrong.

        Raises:
            RateLimited: it has not. What is invalid was told all the same.
        """
        found = Collection(MAX_LISTED)
        try:
            async for part in parts:
                held = found.invalid_bytes
                found.add(part)
                keep(found.invalid_bytes - held)
            if found.transactions:
                self._plane.feeds.take(self._name, found.transactions, time.monotonic())
        except HttpError as error:
            if isinstance(error, RateLimited):
                self._tell_refused(error, found.transactions)
            await self._list_invalid(found.parts)
            raise
        for part in found.parts:
            yield part

    def _tell_refused(self, error: RateLimited, count: int) -> None:
        """Tell of transactions that are beyond the feed's share.

        They are marked as counted, so that they do not count as refused by the gate: what an operator has
        limited is no failure that the alerts judge.
        """
        self._plane.rejections.note(self._name, error.slug, str(error), self._begin, count)
        self._is_noted = error.is_counted = True

    async def _list_invalid(self, parts: Sequence[Part]) -> None:
        """Tell of what is invalid in parts of which nothing is stored."""
        plane, summary, at = self._plane, self.summary, 0
        for part in parts:
            await next_turn()
            if _wrong(part.results):
                await plane.submitter.list_invalid(part.results, summary, at, self._name)
                self._tell_invalid(part.results)
                self._hold_lists(plane.body_budget.hold)
            at += len(part.results)

    async def _store(self, parts: AsyncIterator[Part]) -> None:
        plane, summary = self._plane, self.summary
        try:
            async for part in parts:
                plane.admission.check_pressure()
                self._count(part)
                await to_its_end(plane.submitter.submit_batch(part.results, summary, self._name))
                self._tell_invalid(part.results)
                check_stop()
                del part  # or it would be held while the next one is waited for
                self._hold_lists(plane.body_budget.take)
        finally:
            plane.body_budget.release(self._held)

    def _hold_lists(self, hold: Callable[[int], None]) -> None:
        """Count what is listed: by `take`, which refuses past the budget, or `hold`, which never fails."""
        grown = self.summary.listed_bytes - self._held
        hold(grown)
        self._held += grown

    def _count(self, part: Part) -> None:
        metrics = self._plane.metrics
        feed = metrics.source_limit.label(self._name)
        for shape, times in part.shapes.items():
            metrics.feed_documents_total.labels(feed, shape).inc(times)
        for kind, times in part.skipped.items():
            metrics.feed_skipped_total.labels(feed, kind).inc(times)
            self.summary.skipped = (self.summary.skipped or 0) + times

    def _tell_invalid(self, results: Sequence[ItemResult]) -> None:
        """Tell of what is wrong in a part, with the first that is wrong for each reason."""
        wrong = _wrong(results)
        unknown = [result for result in wrong if isinstance(result, UnknownShape)]
        others = [result for result in wrong if not isinstance(result, UnknownShape)]
        for reason, found in ((UNKNOWN_SHAPE, unknown), (INVALID_TRANSACTION, others)):
            if found:
                self._plane.rejections.note(self._name, reason, str(found[0]), self._begin, len(found))


def _wrong(results: Sequence[ItemResult]) -> list[InvalidItem]:
    if isinstance(results, Columns):
        return []
    return [result for result in results if isinstance(result, InvalidItem)]
