"""Passes requests of clients on to the control plane, and its answers back."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import httpx
import msgspec
import structlog
from starlette.types import Receive, Scope, Send

from app.api.addresses import METRICS, NEVER_REFUSED, PAGE_FIGURES, READYZ
from app.api.error_responses import problem, problem_of
from app.api.middleware import COUNTED_ELSEWHERE, CUT_OFF
from app.errors import ControlUnavailable, OutcomeUnknown, RetryLater
from app.server.told_together import ToldTogether
from app.workers.pool.worker_config import OTHERS_AT_ONCE, PROBES_AT_ONCE, SCRAPES_AT_ONCE
from app.workers.process.control_connections import WAIT_SECONDS, ControlConnections

log = structlog.get_logger()

WRITE_SECONDS = 10.0
# A cleanup of everything, asked for by hand, takes seconds; what is only read does not.
READ_SECONDS, WORK_SECONDS = 5.0, 60.0
READING = frozenset({"GET", "HEAD"})
NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)

# Those that are for one connection only, and those of a body, which has been read.
_OF_ONE_CONNECTION = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_OF_READ_BODY = frozenset({b"content-length", b"expect"})
Headers = list[tuple[bytes, bytes]]


class Forward:
    """An ASGI endpoint behind the checks: what comes here is allowed, and its body is whole.

    So no client can hold a connection to the control plane by sending slowly, and none by reading slowly,
    since an answer is taken over before it is passed on. Probes have connections of their own all the same,
    and scrapes others: cleanups and reports take as long as they take, and there may be many of each.
    """

    def __init__(self, control: str) -> None:
        self._others = ControlConnections(control, OTHERS_AT_ONCE)
        self._probes = ControlConnections(control, PROBES_AT_ONCE)
        self._scrapes = ControlConnections(control, SCRAPES_AT_ONCE)
        self._told = ToldTogether(_tell)
        self.in_flight = 0  # of those that take a place among the requests under way

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request (ASGI)."""
        takes_place = scope["path"] not in NEVER_REFUSED
        self.in_flight += takes_place
        try:
            response = await self._ask(scope, await _body(scope, receive))
        except (httpx.LocalProtocolError, httpx.InvalidURL) as error:
            answer = problem(400, "malformed-request", "The request cannot be read", str(error))
        except asyncio.CancelledError:
            # The server's patience has ended. The control plane goes on with what it was asked for.
            answer = problem_of(OutcomeUnknown(CUT_OFF))
        except httpx.TransportError as error:
            self._told.note(type(error).__name__)
            answer = problem_of(_unanswered(scope, error))
        else:
            scope[COUNTED_ELSEWHERE] = True
            # The server does not notice that a client with several requests under way has gone.
            with suppress(RuntimeError):
                await _pass_on(response, send)
            return
        finally:
            self.in_flight -= takes_place
        await answer(scope, receive, send)

    async def page_figures(self) -> dict[str, Any]:
        """Return what the live page shows.

        Raises:
            ControlUnavailable: the control plane does not answer.
        """
        try:
            response = await self._others.ask(_of_figures())
        except httpx.TransportError as error:
            raise ControlUnavailable(type(error).__name__) from None
        if response.status_code != HTTPStatus.OK:
            raise ControlUnavailable(f"it answered {response.status_code}")
        figures: dict[str, Any] = msgspec.json.decode(response.extensions["body"])
        return figures

    async def close(self) -> None:
        """Close the connections."""
        await self._others.close()
        await self._probes.close()
        await self._scrapes.close()

    async def _ask(self, scope: Scope, body: bytes) -> httpx.Response:
        """The control plane's answer to a client's request."""
        apart = {READYZ: self._probes, METRICS: self._scrapes}
        return await apart.get(scope["path"], self._others).ask(_request(scope, body))


def _tell(error: str, times: int) -> None:
    log.warning("control plane does not answer", error=error, times=times)


def _unanswered(scope: Scope, error: httpx.TransportError) -> RetryLater:
    """Return the error for a request without an answer: a change that was sent may have been carried out."""
    if scope["method"] in READING or isinstance(error, NOT_SENT):
        return ControlUnavailable("transactions are taken in all the same; send this again in a moment")
    return OutcomeUnknown("the control plane gave no answer: some or all of this may be done")


async def _body(scope: Scope, receive: Receive) -> bytes:
    if scope["method"] in READING:
        return b""
    message = await receive()
    body: bytes = message.get("body", b"")
    return body


def _request(scope: Scope, body: bytes) -> httpx.Request:
    target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
    headers = [header for header in _of_message(scope["headers"]) if header[0] not in _OF_READ_BODY]
    read = READ_SECONDS if scope["method"] in READING else WORK_SECONDS
    timeout = {"connect": WAIT_SECONDS, "pool": WAIT_SECONDS, "write": WRITE_SECONDS, "read": read}
    extensions = {"target": target, "timeout": timeout}
    return httpx.Request(
        scope["method"], "http://control/", headers=headers, content=body, extensions=extensions
    )


def _of_figures() -> httpx.Request:
    """Make the request of this worker itself for the figures of the live page."""
    timeout = {"connect": WAIT_SECONDS, "pool": WAIT_SECONDS, "write": WRITE_SECONDS, "read": READ_SECONDS}
    return httpx.Request("GET", f"http://control{PAGE_FIGURES}", extensions={"timeout": timeout})


async def _pass_on(response: httpx.Response, send: Send) -> None:
    headers = [header for header in _of_message(response.headers.raw) if header[0] != b"date"]
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.extensions["body"]})


def _of_message(headers: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Leave out the headers that are for one connection only."""
    return [(name.lower(), value) for name, value in headers if name.lower() not in _OF_ONE_CONNECTION]
