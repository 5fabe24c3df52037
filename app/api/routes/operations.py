"""What operators and their tools call: stats, cleanup, probes, metrics."""

from contextlib import suppress
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.actions import to_its_end
from app.api.deps import part
from app.api.openapi.common import ADMIN_RESPONSES
from app.cleanup.run import ALL_MAPS, Cleanup
from app.errors import StoreError
from app.metrics.exposition import Scrapes
from app.models import MapName, Mode, Report, Shape, Trigger
from app.observability.readiness import ReadinessCheck
from app.observability.stats import ServiceStats, Stats
from app.store.figures import Sizes
from app.store.session import StoreSession
from app.workers.pool.pool import WorkerPool

router = APIRouter(tags=["operations"])

CleanupDep = Annotated[Cleanup, part(Cleanup)]
WorkersDep = Annotated[WorkerPool, part(WorkerPool)]
MapsQuery = Annotated[list[MapName] | None, Query(alias="map", description="Only this map; may be repeated.")]
DryRunQuery = Annotated[bool, Query(description="Report what would be removed, and remove nothing.")]


class Readiness(Shape):
    """Whether this gate can take traffic, with the reasons if not, and what is wrong although it can."""

    status: Literal["ready", "unready"]
    reasons: list[str]
    warnings: list[str]


@router.get("/stats")
async def get_stats(
    workers: WorkersDep,
    session: Annotated[StoreSession, part(StoreSession)],
    sizes: Annotated[Sizes, part(Sizes)],
    stats: Annotated[ServiceStats, part(ServiceStats)],
) -> Stats:
    """Figures of maps, ingest, memory and cleanup; the latest known while the store is down."""
    await workers.ask()
    if session.is_up:
        with suppress(StoreError):
            await sizes.refresh()
    return stats.stats()


@router.post("/cleanup", responses=ADMIN_RESPONSES)
async def post_cleanup(cleanup: CleanupDep, maps: MapsQuery = None, dry_run: DryRunQuery = False) -> Report:
    """Remove what is past retention, now."""
    maps_chosen = frozenset(maps or ALL_MAPS)
    return await to_its_end(cleanup.run(Trigger.MANUAL, Mode.NORMAL, maps_chosen, dry_run))


@router.post("/cleanup/emergency", responses=ADMIN_RESPONSES)
async def post_cleanup_emergency(
    cleanup: CleanupDep, maps: MapsQuery = None, dry_run: DryRunQuery = False
) -> Report:
    """Remove what is past the emergency retention, now; signatures inside the window stay."""
    maps_chosen = frozenset(maps or ALL_MAPS)
    return await to_its_end(cleanup.run(Trigger.MANUAL, Mode.EMERGENCY, maps_chosen, dry_run))


@router.get("/cleanup", responses=ADMIN_RESPONSES)
async def get_cleanup(cleanup: CleanupDep) -> list[Report]:
    """The last 50 reports of this gate, newest first."""
    return list(cleanup.reports)


@router.get("/livez")
async def get_livez() -> dict[str, str]:
    """The process is alive; never touches the store."""
    return {"status": "alive"}


@router.get("/readyz", responses={503: {"model": Readiness, "description": "Not ready, and why"}})
async def get_readyz(check: Annotated[ReadinessCheck, part(ReadinessCheck)]) -> Response:
    """Whether to send traffic here."""
    reasons = check.reasons()
    status: Literal["ready", "unready"] = "unready" if reasons else "ready"
    document = Readiness(status=status, reasons=reasons, warnings=check.warnings())
    headers = {"Retry-After": "1"} if reasons else None
    return JSONResponse(document.model_dump(), 503 if reasons else 200, headers)


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(workers: WorkersDep, scrapes: Annotated[Scrapes, part(Scrapes)]) -> Response:
    """Prometheus text format; from memory, so it answers while the store is down."""
    await workers.ask()
    return Response(scrapes.text(), media_type=CONTENT_TYPE_LATEST)
