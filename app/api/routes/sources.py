"""`GET /sources`: how often each feed was first, and how late it was otherwise."""

from typing import Annotated

from fastapi import APIRouter

from app.api.deps import part
from app.ingest.source_statistics import SourceStatistics
from app.ingest.source_views import SourcesView
from app.workers.pool.pool import WorkerPool

router = APIRouter(tags=["operations"])


@router.get("/sources")
async def get_sources(
    sources: Annotated[SourceStatistics, part(SourceStatistics)],
    workers: Annotated[WorkerPool, part(WorkerPool)],
) -> SourcesView:
    """Every source as this gate saw it since its start: how often it was first, how late, when last."""
    await workers.ask()
    return sources.view()
