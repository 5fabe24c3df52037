"""`GET /metrics`: what Prometheus scrapes."""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.deps import part
from app.metrics.exposition import Scrapes
from app.workers.pool.pool import WorkerPool

router = APIRouter(tags=["operations"])


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def get_metrics(
    workers: Annotated[WorkerPool, part(WorkerPool)], scrapes: Annotated[Scrapes, part(Scrapes)]
) -> Response:
    """Prometheus text format; from memory, so it answers while the store is down."""
    await workers.ask()
    return Response(scrapes.text(), media_type=CONTENT_TYPE_LATEST)
