"""The FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.routing import Route

from app.api import alerts, memory, operations, problems, reports, sources, transactions
from app.api import settings as settings_api
from app.api.middleware import FrontMiddleware
from app.runtime import Runtime

ROUTERS = (
    transactions.router,
    operations.router,
    memory.router,
    alerts.router,
    sources.router,
    reports.router,
    settings_api.router,
)


def routes() -> list[Route]:
    """Every route of the API itself; the application keeps included routers folded up."""
    every = (route for router in ROUTERS for route in router.routes)
    return [route for route in every if isinstance(route, Route)]


def create_app(runtime: Runtime) -> FastAPI:
    """The application around a runtime, which it starts and stops."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await runtime.start()
        yield
        await runtime.stop()

    app = FastAPI(
        title="Tidegate",
        summary="Lets each transaction through once; its memory stays flat.",
        version=runtime.version,
        lifespan=lifespan,
        redoc_url=None,
    )
    app.state.runtime = runtime
    problems.install(app, routes())
    for router in ROUTERS:
        app.include_router(router)
    for route in routes():
        for method in route.methods or ():
            runtime.metrics.start_route(method, route.path)
    app.add_middleware(
        FrontMiddleware, metrics=runtime.metrics, max_in_flight=runtime.settings.max_in_flight_requests
    )
    return app
