"""Passes a request on to the control plane, and its answer back, both as they come."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from pathlib import Path

import httpx
import structlog
from starlette.types import Receive, Scope, Send

from app.api.problems import problem, problem_of
from app.errors import BodyTooLarge, ControlUnavailable, HttpError, MalformedBody

log = structlog.get_logger()

AT_ONCE = 64
WAIT_SECONDS, WRITE_SECONDS = 1.0, 10.0
# A cleanup of everything, asked for by hand, takes seconds; what is only read does not.
READ_SECONDS, WORK_SECONDS = 5.0, 60.0
# Shorter than the control plane keeps an idle connection.
KEPT_SECONDS = 30.0
# So much is taken over at once, so that a slow reader does not hold a connection to the control plane.
WHOLE_BYTES = 1024 * 1024

_OF_ONE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
Headers = list[tuple[bytes, bytes]]


class Forward:
    """An ASGI endpoint; `count` is told the status of what it had to answer itself."""

    def __init__(
        self, control: Path, most_body_bytes: Callable[[], int], count: Callable[[str, int], None]
    ) -> None:
        limits = httpx.Limits(
            max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=KEPT_SECONDS
        )
        self._control = httpx.AsyncHTTPTransport(uds=str(control), limits=limits, verify=False)
        self._most_body_bytes, self._count = most_body_bytes, count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        try:
            response = await self._control.handle_async_request(self._request(scope, receive))
            body = await _whole(response)
        except HttpError as error:
            answer = problem_of(error)
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:
            answer = problem(400, "malformed-request", "The request cannot be read", str(error))
        except httpx.TransportError as error:
            log.warning("control plane does not answer", error=type(error).__name__)
            detail = "transactions are taken in all the same; send this again in a moment"
            answer = problem_of(ControlUnavailable(detail))
        else:
            # The server does not notice that a client with several requests under way has gone.
            with suppress(RuntimeError):
                await _pass_on(response, body, send)
            return
        self._count(scope["method"], answer.status_code)
        await answer(scope, receive, send)

    async def close(self) -> None:
        """Close the connections."""
        await self._control.aclose()

    def _request(self, scope: Scope, receive: Receive) -> httpx.Request:
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        headers = _of_message(scope["headers"])
        read = READ_SECONDS if scope["method"] in ("GET", "HEAD") else WORK_SECONDS
        return httpx.Request(
            scope["method"],
            "http://control/",
            headers=headers,
            content=self._body(scope["headers"], receive),
            extensions={
                "target": target,
                "timeout": {
                    "connect": WAIT_SECONDS,
                    "pool": WAIT_SECONDS,
                    "write": WRITE_SECONDS,
                    "read": read,
                },
            },
        )

    def _body(self, headers: Headers, receive: Receive) -> AsyncIterator[bytes] | None:
        given = dict(headers)
        length, most = given.get(b"content-length", b"0"), self._most_body_bytes()
        if int(length) > most:
            raise BodyTooLarge(f"the body has {int(length)} bytes, {most} are allowed")
        return _stream(receive, most) if int(length) or b"transfer-encoding" in given else None


async def _stream(receive: Receive, most: int) -> AsyncIterator[bytes]:
    more, sent = True, 0
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise MalformedBody("the client went away before the body was complete")
        chunk, more = message.get("body", b""), message.get("more_body", False)
        sent += len(chunk)
        if sent > most:
            raise BodyTooLarge(f"the body has more than {most} bytes")
        yield chunk


async def _whole(response: httpx.Response) -> bytes | None:
    """The body of an answer that is not too large to be taken over at once."""
    length = response.headers.get("content-length", "")
    if not length.isdigit() or int(length) > WHOLE_BYTES:
        return None
    try:
        return b"".join([chunk async for chunk in _chunks(response)])
    finally:
        await response.aclose()


async def _pass_on(response: httpx.Response, body: bytes | None, send: Send) -> None:
    headers = [header for header in _of_message(response.headers.raw) if header[0] != b"date"]
    try:
        await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
        if body is None:
            async for chunk in _chunks(response):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": body or b""})
    finally:
        await response.aclose()


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """As they come: compressed stays compressed."""
    return response.stream.__aiter__()  # type: ignore[union-attr]  # that of an asynchronous transport


def _of_message(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Without those that are for one connection only."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in _OF_ONE_CONNECTION]
