"""The outermost layer, plain ASGI: bounds requests in flight, counts and times them, catches what escapes.

A stop ends requests here as well. The server cancels those that are still under way some seconds after it was
told to stop, and they are answered 503 here, unless their route says itself what was done before. What a
request has begun with the store is waited for (`to_its_end`), so that nothing is answered as refused and done
all the same.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, TypeVar

import structlog
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.addresses import BELOW_FEEDS, DATA_PLANE, NEVER_REFUSED
from app.api.error_responses import internal_problem, problem_of
from app.decode.client_gone import GivenUp
from app.errors import OutcomeUnknown, Overloaded, ShuttingDown, StoreError
from app.ingest.admission import feed_named, source_named
from app.metrics.catalogue import Metrics
from app.metrics.counters import RequestsInFlight

log = structlog.get_logger()

_Result = TypeVar("_Result")
CUT_OFF = "the gate stopped before the end of this, and some or all of it may be done; sent again it is safe"
UNMATCHED = "unmatched"
UNAUTHORIZED = 401
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# In the scope of a request that another process has counted.
COUNTED_ELSEWHERE = "tidegate.counted_elsewhere"
STEP_ASIDE: Message = {"type": "tidegate.step_aside"}
"""What a handler sends before its request waits, or streams: it gives its place among the requests back.

It is counted, with the seconds until then, when its answer begins.
"""


class Direct(NamedTuple):
    """The routes of posts, which are found here: to find one in the application's list takes longer."""

    transactions: Route
    feed: Route

    def find(self, method: str, path: str) -> Route | None:
        """Find the route of a request; None unless it is a post to `/transactions` or to a feed."""
        if method != "POST":
            return None
        if path == self.transactions.path:
            return self.transactions
        return self.feed if path.startswith(BELOW_FEEDS) else None


class RequestMiddleware:
    """Stands around the whole application; `in_flight_elsewhere` counts the requests of other processes."""

    def __init__(
        self,
        app: ASGIApp,
        direct: Direct | None,
        metrics: Metrics,
        requests: RequestsInFlight,
        in_flight_elsewhere: Callable[[], int] = lambda: 0,
    ) -> None:
        self._app = app
        self._direct = direct
        self._metrics = metrics
        self.requests = requests
        metrics.unauthorized_total.start(("ingest",), ("admin",))
        metrics.http_requests_in_flight.set_function(lambda: requests.count + in_flight_elsewhere())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, unless too many are under way."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answer = _Answer(self, scope, send)
        try:
            await self._serve(scope, receive, answer)
        finally:
            answer.end()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request that was answered; status 0 stands for a client that went away before."""
        self._metrics.count_request(method, route, str(status or 499), seconds)
        if status == UNAUTHORIZED:
            plane = "ingest" if route in DATA_PLANE else "admin"
            self._metrics.unauthorized_total.labels(plane).inc()

    async def _serve(self, scope: Scope, receive: Receive, answer: "_Answer") -> None:
        is_post = self._route_of(scope) is not None
        most = self.requests.limit if is_post else self.requests.limit_of_others
        if self.requests.count > most and scope["path"] not in NEVER_REFUSED:
            refusal = Overloaded(f"{most} requests are under way already")
            if is_post:
                self._metrics.count_refusal(refusal.slug, _source(scope))
            await problem_of(refusal)(scope, receive, answer.send)
            return
        try:
            await self._app_for(scope)(scope, answer.listening(receive), answer.send)
        except GivenUp:
            return
        except asyncio.CancelledError:
            # The server's patience with a slow request ends some seconds after it was told to stop.
            if answer.status == 0:
                stopping = problem_of(ShuttingDown("the gate is stopping; send this again"))
                await stopping(scope, receive, answer.send)
        except Exception:
            log.exception("request failed", method=scope["method"], route=_route(scope))
            if answer.status == 0:
                await internal_problem()(scope, receive, answer.send)

    def _app_for(self, scope: Scope) -> ASGIApp:
        route = self._route_of(scope)
        if route is None:
            return self._app
        scope["route"] = route
        return route.app

    def _route_of(self, scope: Scope) -> Route | None:
        return self._direct.find(scope["method"], scope["path"]) if self._direct else None


class _Answer:
    """Sends the answer to one request: remembers the status, and leaves the body out where HEAD was asked.

    The request is at its end when the last of the answer is handed to the server. How long the client takes
    to read it is the server's affair: a place among the requests under way does not wait for that. Nor does
    one wait for a client that sends its body, which may be a byte a second, or lines without an end. Until
    the last of the body has come the request has no place, also while what came of it waits for its turn or
    for the store: of 1,500 clients that send some lines a second each, on a busy machine more than 1,024 wait
    so, and would have the posts of others refused. What they hold has its own bounds, in bytes and items.
    Probes and scrapes, which are never refused, have none at all: 1,100 of them would leave none for posts.

    The request took as long as its answer after the last of the body had come. What was let in is not refused
    for want of a place later, so that for a moment more may be under way than `RequestsInFlight.limit`, of at
    most as many as there are connections.
    """

    __slots__ = (
        *("_has_ended", "_has_place", "_has_stepped_aside", "_is_head", "_middleware", "_scope", "_send"),
        *("_since", "status"),
    )

    def __init__(self, middleware: RequestMiddleware, scope: Scope, send: Send) -> None:
        self._middleware, self._scope, self._send = middleware, scope, send
        self._is_head = scope["method"] == "HEAD"
        self._since = time.perf_counter()
        self._has_ended, self._has_place, self._has_stepped_aside = (
            False,
            False,
            scope["path"] in NEVER_REFUSED,
        )
        self._take_place()
        self.status = 0

    def listening(self, receive: Receive) -> Receive:
        """Return what gives the application its messages (ASGI), and notes when the last of them came."""

        async def listen() -> Message:
            self._give_place_back()
            try:
                message = await receive()
            finally:
                self._since = time.perf_counter()
            if not message.get("more_body", False):
                self._take_place()
            return message

        return listen

    async def send(self, message: Message) -> None:
        """Pass a message on to the server (ASGI)."""
        if message["type"] == "http.response.body":
            if self._is_head:
                message = {**message, "body": b""}
            if not message.get("more_body", False):
                self.end()
        elif message["type"] == "http.response.start":
            self.status = message["status"]
            if not self._has_place:
                self.end()
        elif message is STEP_ASIDE:
            self._has_stepped_aside = True
            self._give_place_back()
            return
        await self._send(message)

    def end(self) -> None:
        """Give the place back and count the request, once."""
        if self._has_ended:
            return
        self._has_ended = True
        self._give_place_back()
        if COUNTED_ELSEWHERE not in self._scope:
            method = self._scope["method"] if self._scope["method"] in METHODS else "other"
            self._middleware.count(
                method, _route(self._scope), self.status, time.perf_counter() - self._since
            )

    def _take_place(self) -> None:
        if not (self._has_ended or self._has_stepped_aside):
            self._middleware.requests.count += 1
            self._has_place = True

    def _give_place_back(self) -> None:
        self._middleware.requests.count -= self._has_place
        self._has_place = False


def _source(scope: Scope) -> str:
    """Return the source of a request to the data plane that is refused unread."""
    path: str = scope["path"]
    if path.startswith(BELOW_FEEDS):
        return feed_named(path.removeprefix(BELOW_FEEDS))
    return source_named(scope["query_string"], dict(scope["headers"]))


def _route(scope: Scope) -> str:
    return str(getattr(scope.get("route"), "path", UNMATCHED))


async def to_its_end(action: Coroutine[Any, Any, _Result]) -> _Result:
    """Carry out an action and wait for its end, also when the server's patience with the request has ended.

    The server cancels a request some seconds after a stop. The store is closed soon after, which ends
    whatever still waits for it.

    Raises:
        OutcomeUnknown: the stop has cut the action off.
    """
    task, is_stopping = asyncio.create_task(action), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_stopping = True
    if task.cancelled() or (is_stopping and isinstance(task.exception(), StoreError)):
        raise OutcomeUnknown(CUT_OFF)
    try:
        return task.result()
    finally:
        # The task keeps its error, the error this frame, and with it those of its callers, and the body.
        del task
