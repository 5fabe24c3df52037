"""The FastAPI application around a runtime."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api import error_handlers as handlers
from app.api.addresses import FEED
from app.api.control_plane_checks import Checks
from app.api.middleware import Direct, RequestMiddleware
from app.api.openapi import consumers as consumers_document
from app.api.openapi import feeds as feeds_document
from app.api.openapi.common import document_checks
from app.api.openapi.pages import add_documentation
from app.api.openapi.settings import document_settings
from app.api.openapi.transactions import document_data_plane
from app.api.reader_routes import ReaderRoutes
from app.api.routes import (
    alerts,
    cleanup,
    consumers,
    drill,
    feeds,
    memory,
    metrics,
    page,
    page_events,
    probes,
    reports,
    settings,
    sources,
    stats,
    stream,
    transactions,
)
from app.runtime import Runtime

ROUTERS = (
    stats.router,
    cleanup.router,
    probes.router,
    metrics.router,
    memory.router,
    alerts.router,
    drill.router,
    sources.router,
    reports.router,
    settings.router,
    page.router,
)


def create_app(runtime: Runtime) -> RequestMiddleware:
    """Build the application around a gate, which it starts and stops."""
    plane = runtime.plane
    data_plane = [*transactions.routes(plane), feeds.route(plane)]
    direct = Direct(data_plane[0], data_plane[-1])
    endpoints = {
        **stream.endpoints(runtime.consumers),
        **consumers.endpoints(runtime.consumers, plane),
        **page_events.endpoints(runtime.viewers),
    }
    for method, path in endpoints:
        runtime.metrics.start_route(method, path)
    readers = ReaderRoutes(endpoints, _head_as_get(create_api(runtime, data_plane)))
    checked = Checks(readers, plane.access, plane.body_budget)
    return RequestMiddleware(checked, direct, runtime.metrics, runtime.requests, runtime.workers.requests)


def _head_as_get(app: ASGIApp) -> ASGIApp:
    """Let what answers GET answer HEAD too; the middleware leaves the body out."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("method") == "HEAD":
            scope = {**scope, "method": "GET"}
        await app(scope, receive, send)

    return answer


def create_api(runtime: Runtime, data_plane: Sequence[Route]) -> FastAPI:
    """Build the API without what stands around it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        yield
        await runtime.stop()

    api = FastAPI(
        title="Tidegate",
        summary="Lets each transaction through once; its memory stays flat.",
        version=runtime.version,
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,
    )
    api.state.parts = runtime.parts
    handlers.install(api)
    # An included router's routes would be made once more at the first request, which takes 20 ms in all.
    routes = [*data_plane, *(one for router in ROUTERS for one in router.routes if isinstance(one, Route))]
    api.router.routes += routes
    for route in routes:
        for method in (route.methods or set()) - {"HEAD"}:
            runtime.metrics.start_route(method, route.path)
    # For TidegateAlertsRefused, which tells of the first.
    runtime.metrics.start_route("POST", "/alerts", ("400", "401", "413", "422"))
    add_documentation(api)
    others = {("post", FEED.path): feeds_document.POST, **consumers_document.OPERATIONS}
    document_data_plane(api, others)
    document_settings(api)
    document_checks(api)
    return api
