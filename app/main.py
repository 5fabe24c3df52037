"""The FastAPI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.routing import APIRoute

from app.api import operations, problems, transactions
from app.api.middleware import FrontMiddleware
from app.runtime import Runtime


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
    problems.install(app)
    app.include_router(transactions.router)
    app.include_router(operations.router)
    for route in app.routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                runtime.metrics.start_route(method, route.path)
    app.add_middleware(
        FrontMiddleware, metrics=runtime.metrics, max_in_flight=runtime.settings.max_in_flight_requests
    )
    return app
