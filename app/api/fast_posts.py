"""Single transactions ahead of ASGI: those that are plain and valid. All others go the ordinary way.

What such a post costs beside its part of a flush is mostly the task, the scope and the messages of ASGI.
"""

import time

import structlog
from starlette.responses import Response

from app.api.answer import encode, single_answer
from app.api.middleware import Front
from app.api.problems import internal_problem, problem_of
from app.api.routes.transactions import PATH
from app.decode.item import InvalidItem, decode_item
from app.errors import HttpError, RetryLater
from app.ingest.plane import DataPlane
from app.models import Answer, Answers, Transaction
from app.server.fast_path import Reply, SendReply, WholeRequest

log = structlog.get_logger()

_JSON = [(b"content-type", b"application/json")]


class FastPosts:
    """`POST /transactions` of one object (`FastPath`)."""

    path = PATH.encode()

    def __init__(self, plane: DataPlane, front: Front) -> None:
        self.plane, self.front = plane, front

    def take(self, request: WholeRequest, send: SendReply) -> bool:
        """Queue the transaction; False, before anything was counted, for what is not plain and valid."""
        plane, (query, headers, body) = self.plane, request
        if not (body.startswith(b"{") and self.front.has_room) or b"content-encoding" in headers:
            return False
        try:
            terms = plane.admission.admit(query, headers, len(body))
            if terms.is_lines:
                return False
            item = decode_item(body, terms.limits)
            plane.submitter.submit_one(item, _Post(self, item, len(body), send).finish)
        except (HttpError, InvalidItem):
            return False
        self.front.in_flight += 1
        plane.body_budget.hold(len(body))
        plane.metrics.ingest_batch_size.observe(1)
        return True


class _Post:
    """One transaction on its way."""

    __slots__ = ("_item", "_paths", "_send", "_since", "_size")

    def __init__(self, paths: FastPosts, item: Transaction, size: int, send: SendReply) -> None:
        self._paths, self._item, self._size, self._send = paths, item, size, send
        self._since = time.perf_counter()

    def finish(self, outcome: Answers | Exception, at: int) -> None:
        """Answer it."""
        plane, front = self._paths.plane, self._paths.front
        result = plane.submitter.result_of(self._item, outcome, at)
        if isinstance(result, RetryLater):
            plane.admission.count_refused(result, b"", {})
        reply = _reply(self._item, result)
        front.in_flight -= 1
        plane.body_budget.release(self._size)
        front.count("POST", PATH, reply.status, time.perf_counter() - self._since)
        self._send(reply)


def _reply(item: Transaction, outcome: Answer | Exception) -> Reply:
    if not isinstance(outcome, Exception):
        return Reply(200, _JSON, encode(single_answer(item, outcome)))
    if isinstance(outcome, HttpError):
        return _of(problem_of(outcome))
    log.error("request failed", method="POST", route=PATH, exc_info=outcome)
    return _of(internal_problem())


def _of(response: Response) -> Reply:
    headers = [header for header in response.raw_headers if header[0] != b"content-length"]
    return Reply(response.status_code, headers, bytes(response.body))
