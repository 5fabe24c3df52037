"""A worker's two applications: that of clients, and the private one of the control plane."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.addresses import LIVEZ, LOOKUP, address_of
from app.api.control_plane_checks import Checks
from app.api.data_plane_answers import DataRoute
from app.api.middleware import Direct, RequestMiddleware
from app.api.reader_routes import ReaderRoutes
from app.api.routes import consumers, feeds, page_events, stream, transactions
from app.guard.diagnosis.examiner import ProvenLeak
from app.process.heap import trim_heap
from app.web.viewers import Viewers
from app.workers.process.forward import Forward
from app.workers.process.parts import WorkerParts


class Door:
    """Lets the data plane answer its requests here, and the control plane all others.

    Lookups and `/livez` are answered at once. All other requests are checked first, also those of readers
    and of viewers of the live page, whose figures are the control plane's.
    """

    def __init__(self, here: ASGIApp, elsewhere: Forward, parts: WorkerParts) -> None:
        self._here = here
        endpoints = {
            **stream.endpoints(parts.consumers),
            **consumers.endpoints(parts.consumers, parts.plane),
            **page_events.endpoints(Viewers(elsewhere.page_figures)),
        }
        readers = ReaderRoutes(endpoints, elsewhere)
        self._checked = Checks(readers, parts.plane.access, parts.plane.body_budget)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on (ASGI)."""
        is_unchecked = scope["type"] != "http" or _is_unchecked(scope["method"], scope["path"])
        await (self._here if is_unchecked else self._checked)(scope, receive, send)


def _is_unchecked(method: str, path: str) -> bool:
    if method not in ("GET", "HEAD"):
        return False  # a post to the data plane is found ahead of this
    return path == LIVEZ or address_of(path) is LOOKUP


def client_app(parts: WorkerParts, forward: Forward) -> RequestMiddleware:
    """Build the application of clients, which starts and stops the worker's parts."""

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await parts.start()
        yield
        await parts.stop()
        await forward.close()

    data_plane = transactions.routes(parts.plane)
    livez = DataRoute(LIVEZ, _get_livez)
    direct = Direct(data_plane[0], feeds.route(parts.plane))
    door = Door(Router([*data_plane, livez], lifespan=lifespan), forward, parts)
    return RequestMiddleware(door, direct, parts.metrics, parts.requests)


async def _get_livez(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


def control_app(parts: WorkerParts, forwarded: Callable[[], int]) -> ASGIApp:
    """Build the application for the control plane: how this worker is, what it shall free, what grew in it.

    `forwarded` counts the requests under way that the control plane answers.
    """
    encode = msgspec.msgpack.Encoder().encode
    at_once: dict[str, Callable[[], object]] = {"gc": gc.collect, "trim": trim_heap}

    async def report(_: Request) -> Response:
        return Response(encode(parts.report(forwarded())), media_type="application/msgpack")

    async def free_memory(request: Request) -> Response:
        how = request.path_params["how"]
        if how == "shrink":
            await parts.connections.drop_idle()
        else:
            at_once[how]()
        return Response()

    async def examine(request: Request) -> Response:
        found = await parts.examiner.examine(msgspec.json.decode(await request.body(), type=ProvenLeak))
        return Response(found.model_dump_json() if found else b"", media_type="application/json")

    return Starlette(
        routes=[
            Route(LIVEZ, _get_livez),
            Route("/report", report),
            Route("/free-memory/{how}", free_memory, methods=["POST"]),
            Route("/examine", examine, methods=["POST"]),
        ]
    )
