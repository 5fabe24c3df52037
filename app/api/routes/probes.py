"""`GET /livez` and `GET /readyz`: whether this gate lives, and whether to send it traffic."""

from typing import Annotated, Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from app.api.deps import part
from app.models import JsonModel
from app.observability.readiness import ReadinessCheck

router = APIRouter(tags=["operations"])


class Readiness(JsonModel):
    """Whether this gate can take traffic, with the reasons if not, and what is wrong although it can."""

    status: Literal["ready", "unready"]
    reasons: list[str]
    warnings: list[str]


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
