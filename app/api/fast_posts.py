"""The fast way of a single post: from the server's protocol to the flush queue and back, without ASGI.

What a single post costs beside its part of a flush is mostly the task, the scope and the messages of ASGI.
`FastPosts` takes a post before those are made, if its body is whole, short, one plain object and valid, and
if it is admitted. It refuses nothing: a 401 and all other refusals (a full queue, pressure of memory, an
invalid body) are left to the ordinary way, `PostTransactions` in routes/transactions.py, which finds the
same and answers. Only what goes wrong after the transaction was queued is answered here, since then it has
been taken.
"""

import time

import structlog
from starlette.responses import Response

from app.api.addresses import TRANSACTIONS
from app.api.data_plane_answers import encode
from app.api.error_responses import internal_problem, problem_of
from app.decode.columns import Answers
from app.decode.event_loop_turns import LONG_BYTES
from app.decode.item import InvalidItem, decode_item
from app.errors import HttpError, RetryLater
from app.ingest.data_plane import DataPlane
from app.metrics.counters import RequestsInFlight
from app.models import DEFAULT_SOURCE, Answer, Transaction, Verdict
from app.server.fast_path import Reply, SendReply, WholeRequest

log = structlog.get_logger()

_JSON = [(b"content-type", b"application/json")]


class FastPosts:
    """Takes posts of one object that are whole, plain and valid, before ASGI (see `FastPath`).

    They do not pass the middleware, and are counted here as it counts the others.
    """

    path = TRANSACTIONS.encode()

    def __init__(self, plane: DataPlane, requests: RequestsInFlight) -> None:
        self.plane, self.requests = plane, requests

    def take(self, request: WholeRequest, send: SendReply) -> bool:
        """Queue the transaction; False, before anything was counted, for what is not plain and valid."""
        plane, (query, headers, body) = self.plane, request
        if len(body) > LONG_BYTES or not (body.startswith(b"{") and self.requests.has_room):
            return False
        if b"content-encoding" in headers:
            return False
        try:
            limits, is_lines = plane.admission.admit(query, headers, len(body))
            if is_lines:
                return False
            item = decode_item(body, limits)
            plane.flush_queue.submit_one(item, _Post(self, item, len(body), send).finish)
        except (HttpError, InvalidItem):
            return False
        self.requests.count += 1
        plane.body_budget.hold(len(body))
        plane.metrics.ingest_batch_size.observe(1)
        return True


class _Post:
    """One transaction of the fast path that waits for its flush."""

    __slots__ = ("_item", "_posts", "_send", "_since", "_size")

    def __init__(self, posts: FastPosts, item: Transaction, size: int, send: SendReply) -> None:
        self._posts, self._item, self._size, self._send = posts, item, size, send
        self._since = time.perf_counter()

    def finish(self, outcome: Answers | Exception, at: int) -> None:
        """Answer the request with its place in the answers of the flush, or with the error."""
        plane, requests = self._posts.plane, self._posts.requests
        answer = None if isinstance(outcome, Exception) else outcome[at]
        if answer is None or answer.verdict in (Verdict.REFUSED, Verdict.FAILED):
            reply = self._failed(outcome, at)
        else:
            reply = Reply(200, _JSON, encode(single_answer(self._item, answer)))
        requests.count -= 1
        plane.body_budget.release(self._size)
        seconds = time.perf_counter() - self._since
        plane.metrics.count_request("POST", TRANSACTIONS, str(reply.status), seconds)
        self._send(reply)

    def _failed(self, outcome: Answers | Exception, at: int) -> Reply:
        plane = self._posts.plane
        error = plane.submitter.error_of(self._item, outcome, at)
        if isinstance(error, RetryLater):
            plane.admission.count_refused(error, DEFAULT_SOURCE)
        if isinstance(error, HttpError):
            return _of(problem_of(error))
        log.error("request failed", method="POST", route=TRANSACTIONS, exc_info=error)
        return _of(internal_problem())


def _of(response: Response) -> Reply:
    headers = [header for header in response.raw_headers if header[0] != b"content-length"]
    return Reply(response.status_code, headers, bytes(response.body))


def single_answer(item: Transaction, answer: Answer) -> dict[str, object]:
    """Return the document that answers a single transaction."""
    return {
        "status": answer.verdict,
        "signature": item.signature,
        "first_seen_ms": answer.first_seen_ms,
    }
