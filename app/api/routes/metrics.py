"""`GET /metrics`: what Prometheus scrapes."""

from typing import Annotated, Final

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.api.accept_headers import Wish, accepts, wishes
from app.api.deps import part
from app.metrics.exposition import OPENMETRICS, TEXT, Format
from app.observability.scrapes import Scrapes
from app.workers.pool.pool import WorkerPool

router = APIRouter(tags=["operations"])

OPENMETRICS_NAME, OPENMETRICS_VERSIONS = "application/openmetrics-text", ("", "1.0.0")
TEXT_NAMES: Final = frozenset({"text/plain", "text/*", "*/*"})
CONTENT: Final[dict[str, object]] = {"text/plain": {}, OPENMETRICS_NAME: {}}


@router.get("/metrics", response_class=Response, responses={200: {"content": CONTENT}})
async def get_metrics(
    request: Request,
    workers: Annotated[WorkerPool, part(WorkerPool)],
    scrapes: Annotated[Scrapes, part(Scrapes)],
) -> Response:
    """Prometheus text format, or OpenMetrics 1.0; from memory, so it answers while the store is down."""
    await workers.ask()
    form = format_for(request.headers.get("accept", ""))
    gzip = accepts(request.headers.get("accept-encoding", ""), "gzip")
    headers = {"Vary": "Accept, Accept-Encoding"} | ({"Content-Encoding": "gzip"} if gzip else {})
    scrape = await scrapes.take(form)
    body = scrape.compressed if gzip else scrape.text
    return Response(body, media_type=form.content_type, headers=headers)


def format_for(accept: str) -> Format:
    """Return the format that an `Accept` header asks for: OpenMetrics only by its name."""
    asked = list(wishes(accept))
    wanted = max((wish.weight for wish in asked if _is_openmetrics(wish)), default=0.0)
    other = max((wish.weight for wish in asked if wish.name in TEXT_NAMES), default=0.0)
    return OPENMETRICS if wanted and wanted >= other else TEXT


def _is_openmetrics(wish: Wish) -> bool:
    return wish.name == OPENMETRICS_NAME and wish.parameters.get("version", "") in OPENMETRICS_VERSIONS
