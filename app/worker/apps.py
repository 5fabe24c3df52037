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

from app.api import transactions
from app.api.front import UNMATCHED, Front
from app.guard.diagnosis.examination import Case
from app.memory import trim_heap
from app.worker.forward import Forward
from app.worker.parts import WorkerParts
from app.workers.assignment import Assignment

LIVEZ = "/livez"
_BELOW = f"{transactions.PATH}/"


class Door:
    """Ahead of everything: what the data plane answers is answered here, the rest by the control plane."""

    def __init__(self, here: Front, forward: ASGIApp) -> None:
        self.here, self._forward = here, forward

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on (ASGI)."""
        if scope["type"] == "http" and not _is_here(scope["method"], scope["path"]):
            await self._forward(scope, receive, send)
        else:
            await self.here(scope, receive, send)


def _is_here(method: str, path: str) -> bool:
    if method == "POST":
        return path == transactions.PATH
    return method in ("GET", "HEAD") and (path.startswith(_BELOW) or path == LIVEZ)


def client_app(parts: WorkerParts, assignment: Assignment) -> Door:
    """The application of clients, which starts and stops the worker's parts."""
    forward = Forward(
        assignment.control,
        lambda: parts.live.settings.max_body_bytes,
        lambda method, status: parts.metrics.count_request(method, UNMATCHED, str(status), 0.0),
    )

    @asynccontextmanager
    async def lifespan(_: object) -> AsyncIterator[None]:
        await parts.start()
        yield
        await parts.stop()
        await forward.close()

    data_plane = transactions.routes(parts.plane)
    livez = transactions.DataRoute(LIVEZ, _get_livez)
    direct = {("POST", transactions.PATH): data_plane[0]}
    router = Router([*data_plane, livez], lifespan=lifespan)
    front = Front(router, direct, parts.metrics, parts.share.requests)
    parts.requests = lambda: front.in_flight
    return Door(front, forward)


async def _get_livez(_: Request) -> Response:
    return JSONResponse({"status": "alive"})


def control_app(parts: WorkerParts) -> ASGIApp:
    """The application of the control plane: how this worker is, what it shall give back, what grew in it."""
    encode = msgspec.msgpack.Encoder().encode
    ways: dict[str, Callable[[], object]] = {
        "gc": gc.collect,
        "trim": trim_heap,
        "shrink": parts.connections.drop_idle,
    }

    async def report(_: Request) -> Response:
        return Response(encode(parts.report()), media_type="application/msgpack")

    async def give_back(request: Request) -> Response:
        ways[request.path_params["how"]]()
        return Response()

    async def examine(request: Request) -> Response:
        found = await parts.checkup.examine(msgspec.json.decode(await request.body(), type=Case))
        return Response(found.model_dump_json() if found else b"", media_type="application/json")

    return Starlette(
        routes=[
            Route(LIVEZ, _get_livez),
            Route("/report", report),
            Route("/give-back/{how}", give_back, methods=["POST"]),
            Route("/examine", examine, methods=["POST"]),
        ]
    )
