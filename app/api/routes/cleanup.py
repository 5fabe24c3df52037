"""`POST /cleanup`, `POST /cleanup/emergency` and `GET /cleanup`: clean up now, and what past ones removed."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import part
from app.api.middleware import to_its_end
from app.api.openapi.common import ADMIN_RESPONSES
from app.cleanup.run import ALL_MAPS, Cleanup
from app.models import MapName, Mode, Report, Trigger

router = APIRouter(tags=["operations"])

CleanupDep = Annotated[Cleanup, part(Cleanup)]
MapsQuery = Annotated[list[MapName] | None, Query(alias="map", description="Only this map; may be repeated.")]
DryRunQuery = Annotated[bool, Query(description="Report what would be removed, and remove nothing.")]


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
