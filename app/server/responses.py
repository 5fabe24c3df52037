"""Responses as bytes: the beginning of any, and refusals, which the server writes without an application.

A refusal is a problem document (RFC 9457) that ends the connection. With some of it left out:

    HTTP/1.1 431 Request Header Fields Too Large
    date: Thu, 05 Nov 2026 10:00:00 GMT
    content-type: application/problem+json
    content-length: 273
    connection: close

    {"type":"urn:tidegate:problem:header-too-large","title":"The request's headers are too large",...}
"""

from collections.abc import Iterable
from dataclasses import asdict
from http import HTTPStatus

import structlog

from app.metrics.catalogue import Metrics
from app.models import ServerProblem
from app.server.limits import BOUNDS, RETRY_AFTER_SECONDS, Bound, Limits
from app.server.problem_json import MEDIA_TYPE, problem_bytes
from app.server.told_together import ToldTogether

log = structlog.get_logger()

HeaderLines = Iterable[tuple[bytes, bytes]]
RETRY_AFTER = 503

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}


def status_line(status: int) -> bytes:
    """Return the first line of a response; a status that has no name gets none."""
    return STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def header_lines(headers: HeaderLines) -> bytes:
    """Join header lines, each with its line end."""
    return b"".join([b"%b: %b\r\n" % header for header in headers])


class Refusal:
    """One row of the table of bounds, as a response that closes the connection."""

    def __init__(self, bound: Bound, limits: Limits) -> None:
        self.reason, self.status = bound.reason, bound.status
        detail = bound.detail.format_map(asdict(limits))
        retry_after = RETRY_AFTER_SECONDS if bound.status == RETRY_AFTER else None
        self.problem = ServerProblem(bound.status, bound.reason, bound.title, detail, retry_after)
        body = problem_bytes(bound.status, bound.reason, bound.title, detail)
        head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n" % (
            MEDIA_TYPE.encode(),
            len(body),
        )
        again = b"retry-after: %d\r\n" % retry_after if retry_after is not None else b""
        self._head, self._body = head + again + b"\r\n", body

    def response(self, headers: HeaderLines, *, has_body: bool = True) -> bytes:
        """Return the response with the server's own headers, such as `Date`; one to HEAD has no body."""
        head = status_line(self.status) + header_lines(headers) + self._head
        return head + self._body if has_body else head


class Refusals:
    """All refusals by their reason; each is counted, and told in the log at a bounded rate.

    A request that the application had begun is among `tidegate_http_requests_total` as well, and is labelled
    `begun="yes"` here; those with `begun="no"` are counted nowhere else.
    """

    def __init__(self, limits: Limits, metrics: Metrics | None = None) -> None:
        self._all = {bound.reason: Refusal(bound, limits) for bound in BOUNDS}
        self._metrics = metrics
        self._told = ToldTogether(self._tell)
        if metrics is not None:
            metrics.start_refusals(self._all)

    def __getitem__(self, reason: str) -> Refusal:
        return self._all[reason]

    def note(self, reason: str, *, has_begun: bool, times: int = 1) -> None:
        """Count refusals, and tell them in the log."""
        if not times:
            return
        if self._metrics is not None:
            self._metrics.count_connection_refusal(reason, has_begun=has_begun, times=times)
        self._told.note(reason, times)

    def _tell(self, reason: str, times: int) -> None:
        status = self._all[reason].status
        log.warning("connections refused", reason=reason, times=times, status=status or None)
