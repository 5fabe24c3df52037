"""The outermost layer, plain ASGI: bounds requests in flight, counts and times them, catches what escapes."""

import asyncio
import time
from collections.abc import Mapping

import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import internal_problem, problem_of
from app.errors import Overloaded, ShuttingDown
from app.metrics import Metrics

log = structlog.get_logger()

UNMATCHED = "unmatched"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Probes and scrapes must be answered above all when there is too much to do.
NEVER_REFUSED = frozenset({"/livez", "/readyz", "/metrics"})

Direct = Mapping[tuple[str, str], Route]
"""Routes by method and path that are found here: they skip what the application does for the others."""


class Front:
    """Around the whole application."""

    def __init__(self, app: ASGIApp, direct: Direct, metrics: Metrics, max_in_flight: int) -> None:
        self._app = app
        self._direct = direct
        self._metrics = metrics
        self._max_in_flight = max_in_flight
        self.in_flight = 0
        metrics.http_requests_in_flight.set_function(lambda: self.in_flight + metrics.in_flight_elsewhere())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless too many are under way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        watch = _ResponseWatch(send)
        started = time.perf_counter()
        self.in_flight += 1
        try:
            await self._serve(scope, receive, watch)
        finally:
            self.in_flight -= 1
            method = scope["method"] if scope["method"] in METHODS else "other"
            self.count(method, _route(scope), watch.status, time.perf_counter() - started)

    @property
    def has_room(self) -> bool:
        """Whether one more request may be under way."""
        return self.in_flight < self._max_in_flight

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; status 0 stands for a client that went away before."""
        self._metrics.count_request(method, route, str(status or 499), seconds)

    async def _serve(self, scope: Scope, receive: Receive, watch: "_ResponseWatch") -> None:
        if self.in_flight > self._max_in_flight and scope["path"] not in NEVER_REFUSED:
            refusal = problem_of(Overloaded(f"{self._max_in_flight} requests are under way already"))
            await refusal(scope, receive, watch.send)
            return
        try:
            await self._app_for(scope)(scope, receive, watch.send)
        except asyncio.CancelledError:
            # The server's patience with a slow request ends some seconds after it was told to stop.
            if watch.status == 0:
                refusal = problem_of(ShuttingDown("the gate is stopping; send this again"))
                await refusal(scope, receive, watch.send)
        except Exception:
            log.exception("request failed", method=scope["method"], route=_route(scope))
            if watch.status == 0:
                await internal_problem()(scope, receive, watch.send)

    def _app_for(self, scope: Scope) -> ASGIApp:
        route = self._direct.get((scope["method"], scope["path"]))
        if route is None:
            return self._app
        scope["route"] = route
        return route.app


class _ResponseWatch:
    """Remembers the status that was sent."""

    __slots__ = ("_send", "status")

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", UNMATCHED))
