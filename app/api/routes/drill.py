"""`GET`, `POST` and `DELETE /drill`: practise an alert, from the metric to what is done about it."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from app.api.deps import part
from app.api.openapi.common import problems
from app.drills.drills import Drills, DrillsView
from app.drills.kinds import (
    LONGEST_SECONDS,
    MOST_LEAKED_BYTES,
    SHORTEST_SECONDS,
    DrillKind,
    DrillOrder,
    default_bytes,
    default_seconds,
)
from app.errors import InvalidRequest
from app.guard.guard import Guard
from app.models import JsonModel, MapName
from app.settings.model import Settings

router = APIRouter(tags=["operations"])

DrillsDep = Annotated[Drills, part(Drills)]
GuardDep = Annotated[Guard, part(Guard)]
REFUSING = frozenset({DrillKind.PRESSURE, DrillKind.STORE_DOWN})


class DrillQuery(JsonModel):
    """The parameters of `POST /drill`; what is left out is as the settings in force suggest."""

    drill: DrillKind
    seconds: float | None = Field(None, ge=SHORTEST_SECONDS, le=LONGEST_SECONDS)
    bytes: int | None = Field(None, ge=1024 * 1024, le=MOST_LEAKED_BYTES, description="Of `leak`: the most.")
    map: MapName | None = Field(None, description="Of `full`: the map; `observations` by default.")
    refuse_ingest: bool = Field(False, description="That feeds are answered 503 meanwhile is wanted.")


@router.get("/drill")
async def get_drill(drills: DrillsDep) -> DrillsView:
    """The drill that is on, if any, and the last ten of this gate."""
    return drills.view()


@router.post(
    "/drill",
    responses=problems(
        s401="No valid token",
        s409="A drill is on, or the gate is not well enough for one",
        s422="An unknown drill, or what does not belong to it",
    ),
)
async def post_drill(drills: DrillsDep, guard: GuardDep, query: Annotated[DrillQuery, Query()]) -> DrillsView:
    """Begin a drill, which ends by itself; whatever refuses ingest has to be asked for by `refuse_ingest`."""
    _check(query)
    drills.begin(_order(query, guard.settings()))
    return drills.view()


@router.delete("/drill", responses=problems(s401="No valid token"))
async def delete_drill(drills: DrillsDep) -> DrillsView:
    """End the drill that is on, if there is one."""
    drills.stop()
    return drills.view()


def _check(query: DrillQuery) -> None:
    drill = query.drill
    if query.bytes is not None and drill is not DrillKind.LEAK:
        raise InvalidRequest(f"bytes: a drill {drill} keeps none")
    if query.map is not None and drill is not DrillKind.FULL:
        raise InvalidRequest(f"map: a drill {drill} is about none")
    if query.refuse_ingest and drill not in REFUSING:
        raise InvalidRequest(f"refuse_ingest: a drill {drill} refuses nothing")
    if drill is DrillKind.STORE_DOWN and not query.refuse_ingest:
        raise InvalidRequest(
            "refuse_ingest: while the store is taken for down feeds are answered 503; say that you want that"
        )


def _order(query: DrillQuery, settings: Settings) -> DrillOrder:
    drill, refuse = query.drill, query.refuse_ingest
    return DrillOrder(
        drill=drill,
        seconds=query.seconds or default_seconds(drill, settings, refuse_ingest=refuse),
        bytes=(query.bytes or default_bytes(settings)) if drill is DrillKind.LEAK else None,
        map=(query.map or MapName.OBSERVATIONS) if drill is DrillKind.FULL else None,
        refuse_ingest=refuse,
    )
