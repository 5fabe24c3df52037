"""`GET /sources`: how often each feed was first, and how late it was otherwise."""

from fastapi import APIRouter

from app.api.deps import RuntimeDep
from app.ingest.source_statistics import SourcesView

router = APIRouter(tags=["operations"])


@router.get("/sources")
async def get_sources(runtime: RuntimeDep) -> SourcesView:
    """Per source, as this gate saw it since its start: how often it was first, how late, when last."""
    await runtime.ask_workers()
    return runtime.plane.sources.view()
