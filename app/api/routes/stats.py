"""`GET /stats`: the figures of maps, ingest, memory and cleanup as JSON."""

from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter

from app.api.deps import part
from app.errors import StoreError
from app.observability.stats import ServiceStats, Stats
from app.store.figures import Sizes
from app.store.session import StoreSession
from app.workers.pool.pool import WorkerPool

router = APIRouter(tags=["operations"])


@router.get("/stats")
async def get_stats(
    workers: Annotated[WorkerPool, part(WorkerPool)],
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
