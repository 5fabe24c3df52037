"""`GET /reports/daily` and `GET /reports/recent`: what happened over hours and days, and the targets."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.api.deps import part
from app.api.openapi.common import Responses, problems
from app.reports.make_report import Reports
from app.reports.period import MOST_HOURS
from app.reports.report_document import ReportDocument

router = APIRouter(tags=["operations"])

ReportsDep = Annotated[Reports, part(Reports)]
DayQuery = Annotated[str | None, Query(description="A day in UTC, YYYY-MM-DD; today if it is left out.")]
HoursQuery = Annotated[int, Query(ge=1, le=MOST_HOURS, description="So many hours back from now.")]

_RESPONSES: Responses = problems(
    s422="No such day, or hours outside 1 to 192",
    s503="The store is down, or too many reports are being made",
)


@router.get("/reports/daily", responses=_RESPONSES)
async def get_daily_report(reports: ReportsDep, day: DayQuery = None) -> ReportDocument:
    """A day's memory, maps, cleanup and events of all gates that share the store, judged by the targets."""
    return await reports.daily(day)


@router.get("/reports/recent", responses=_RESPONSES)
async def get_recent_report(reports: ReportsDep, hours: HoursQuery = 24) -> ReportDocument:
    """Memory, maps, cleanup and events of the last hours, of all gates of a store, judged by the targets."""
    return await reports.recent(hours)
