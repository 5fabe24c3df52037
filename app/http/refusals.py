"""The limits of a connection, and what is answered past each."""

from dataclasses import dataclass, field
from typing import NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.http.problem import MEDIA_TYPE, problem_bytes

RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True)
class Limits:
    """What one connection may take, and how many there may be."""

    header_bytes: int = 16 * 1024
    """Of one request's line and headers with their line ends, and of a chunked body's trailers; bytes."""
    header_seconds: float = 10
    """From the first byte of a request to the end of its headers, or from a connection's start; seconds."""
    body_seconds: float = 10
    """Without a byte of a body that is not complete, while nothing but the client holds it up; seconds."""
    connections: int = 2048
    """Open at once, idle ones too."""
    shortest_seconds: float = field(init=False)
    """The shorter of the two deadlines."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "shortest_seconds", min(self.header_seconds, self.body_seconds))


class Refusal(NamedTuple):
    """A response that closes the connection."""

    status: int
    rest: bytes
    """What follows the server's own headers."""

    def response(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        """With the server's own headers, such as `Date`."""
        return b"".join(
            (STATUS_LINE[self.status], *(b"%b: %b\r\n" % header for header in headers), self.rest)
        )


class Refusals:
    """The refusal past each limit."""

    def __init__(self, limits: Limits) -> None:
        self.header_bytes = _refusal(
            431,
            "header-too-large",
            "The request's headers are too large",
            f"The request line and headers are more than {limits.header_bytes} bytes "
            "(TIDEGATE_MAX_HEADER_BYTES). Send fewer or shorter headers, or a shorter URL.",
        )
        self.header_seconds = _refusal(
            408,
            "header-timeout",
            "The request's headers took too long",
            f"The headers were not complete within {limits.header_seconds:g} seconds "
            "(TIDEGATE_RECEIVE_DEADLINE_SECONDS). Connect again and send the request without a pause.",
        )
        self.body_seconds = _refusal(
            408,
            "body-timeout",
            "The request's body took too long",
            f"No byte of the body came for {limits.body_seconds:g} seconds "
            "(TIDEGATE_RECEIVE_DEADLINE_SECONDS). Connect again and send the body without such a pause.",
        )
        self.connections = _refusal(
            503,
            "too-many-connections",
            "Too many connections are open",
            f"{limits.connections} connections are open, which is the limit (TIDEGATE_MAX_CONNECTIONS). "
            f"Connect again after {RETRY_AFTER_SECONDS} second, and use a connection for many requests.",
            b"retry-after: %d\r\n" % RETRY_AFTER_SECONDS,
        )
        self.malformed = _refusal(
            400,
            "malformed-request",
            "The request is not valid HTTP",
            "What came is not an HTTP/1.1 request (RFC 9112). Check the request line, the headers, and "
            "that the body is as long as Content-Length or the chunks say.",
        )
        self.upgrade = _refusal(
            400,
            "upgrade-with-body",
            "A request with a body cannot be upgraded",
            "The request has an Upgrade header and a body. Send it without Upgrade; clients that "
            "prefer HTTP/2 have an option for that.",
        )


def _refusal(status: int, slug: str, title: str, detail: str, header: bytes = b"") -> Refusal:
    """The status is from RFC 9110, and 431 from RFC 6585."""
    body = problem_bytes(status, slug, title, detail)
    head = b"content-type: %b\r\ncontent-length: %d\r\nconnection: close\r\n" % (
        MEDIA_TYPE.encode(),
        len(body),
    )
    return Refusal(status, head + header + b"\r\n" + body)
