"""What handlers ask for, as annotated types."""

from typing import Annotated, cast

from fastapi import Depends, Request

from app.dataplane import DataPlane
from app.runtime import Runtime


async def _runtime(request: Request) -> Runtime:
    return cast("Runtime", request.app.state.runtime)


RuntimeDep = Annotated[Runtime, Depends(_runtime)]


async def _plane(runtime: RuntimeDep) -> DataPlane:
    return runtime.plane


PlaneDep = Annotated[DataPlane, Depends(_plane)]


async def _ingest(request: Request, plane: PlaneDep) -> None:
    plane.access.check_ingest(request.headers.get("authorization"))


async def _lookup(request: Request, plane: PlaneDep) -> None:
    plane.access.check_lookup(request.headers.get("authorization"))


async def _admin(request: Request, plane: PlaneDep) -> None:
    plane.access.check_admin(request.headers.get("authorization"))


IngestToken = Depends(_ingest)
LookupToken = Depends(_lookup)
AdminToken = Depends(_admin)
