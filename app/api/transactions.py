"""`POST /transactions` and `GET /transactions/{signature}`."""

import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from app.api import documents
from app.api.dependencies import IngestToken, LookupToken, PlaneDep
from app.api.problems import problem_of
from app.api.receive import media_type, read_json, receive_lines
from app.dataplane import DataPlane
from app.errors import InvalidRequest, UnsupportedMedia
from app.ingest.arrays import judge_array
from app.ingest.decode import InvalidItem, ItemLimits, decode_item, is_array
from app.ingest.intake import Summary
from app.models import DEFAULT_SOURCE, SIGNATURE_PATTERN, SOURCE_PATTERN

router = APIRouter(tags=["transactions"])

_SOURCE = re.compile(SOURCE_PATTERN)
_SIGNATURE = re.compile(SIGNATURE_PATTERN)


@router.post(
    "/transactions",
    dependencies=[IngestToken],
    response_model=None,
    openapi_extra=documents.POST_BODY,
    responses=documents.POST_RESPONSES,
)
async def post_transactions(
    request: Request,
    plane: PlaneDep,
    source: Annotated[
        str | None,
        Query(
            description="Default source of the items; wins over X-Source.", pattern=r"^[A-Za-z0-9._:-]{1,64}$"
        ),
    ] = None,
) -> Response:
    """Let each transaction through once: one object, an array, or NDJSON read as it arrives."""
    plane.check_pressure()
    limits = _item_limits(request, plane, source)
    match media_type(request):
        case "application/json":
            return await _post_json(request, plane, limits)
        case "application/x-ndjson":
            return await receive_lines(request, plane, limits)
        case other:
            raise UnsupportedMedia(f"Content-Type {other!r}: send application/json or application/x-ndjson")


@router.get(
    "/transactions/{signature:path}",
    dependencies=[LookupToken],
    response_model=None,
    responses=documents.LOOKUP_RESPONSES,
)
async def get_transaction(
    plane: PlaneDep, signature: Annotated[str, Path(description="As it was posted.")]
) -> Response:
    """Look a transaction up, with who delivered it and how long after the first."""
    if not _SIGNATURE.match(signature):
        raise InvalidRequest("signature: 1 to 128 visible ASCII characters without space")
    found = await plane.lookup.find(signature)
    if found is None:
        raise HTTPException(404, "no transaction with this signature is kept")
    return _json(found)


async def _post_json(request: Request, plane: DataPlane, limits: ItemLimits) -> Response:
    async with read_json(request, plane) as body:
        if not is_array(body):
            return await _post_one(plane, body, limits)
        judged = await judge_array(body, limits, plane.settings.max_batch_items)
        plane.metrics.ingest_batch_size.observe(len(judged))
        summary = Summary()
        await plane.intake.admit_batch(judged, summary, limits.default_source)
    if judged and summary.invalid == len(judged):
        return problem_of(InvalidRequest("every item is invalid"), **summary.as_dict())
    return _json(summary.as_dict())


async def _post_one(plane: DataPlane, body: bytes, limits: ItemLimits) -> Response:
    plane.metrics.ingest_batch_size.observe(1)
    try:
        item = decode_item(body, limits)
    except InvalidItem as error:
        plane.intake.count_invalid(limits.default_source)
        raise error.as_http_error() from None
    [answer] = await plane.intake.admit([item])
    return _json(
        {"status": answer.verdict, "signature": item.signature, "first_seen_ms": answer.first_seen_ms}
    )


def _item_limits(request: Request, plane: DataPlane, source: str | None) -> ItemLimits:
    source = source or request.headers.get("x-source") or DEFAULT_SOURCE
    if not _SOURCE.match(source):
        raise InvalidRequest("X-Source: 1 to 64 of A-Z a-z 0-9 . _ : -")
    return ItemLimits(plane.settings.max_payload_bytes, plane.settings.max_payload_depth, source)


def _json(document: object) -> Response:
    return Response(msgspec.json.encode(document), media_type="application/json")
