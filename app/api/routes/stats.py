"""`GET /stats`: the figures of maps, ingest, memory and cleanup as JSON."""

from typing import Annotated

from fastapi import APIRouter

from app.api.deps import part
from app.observability.stats import ServiceStats, Stats

router = APIRouter(tags=["operations"])


@router.get("/stats")
async def get_stats(stats: Annotated[ServiceStats, part(ServiceStats)]) -> Stats:
    """Figures of maps, ingest, memory and cleanup; the latest known while the store is down."""
    await stats.refresh()
    return stats.stats()
