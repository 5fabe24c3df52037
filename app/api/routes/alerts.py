"""`POST /alerts`, the webhook of Alertmanager and Grafana, and `GET /alerts`."""

from typing import Annotated

from fastapi import APIRouter, Request, Response

from app.alerts.receiver import AlertAnswer, AlertReceiver, ReceivedAlert
from app.api.addresses import ALERT_BODY_BYTES
from app.api.deps import part
from app.api.json_body import check_json
from app.api.middleware import to_its_end
from app.api.openapi.common import ALERT_BODY, ALERT_RESPONSES, problems
from app.ingest.data_plane import DataPlane
from app.models import JsonModel

router = APIRouter(tags=["operations"])

ReceiverDep = Annotated[AlertReceiver, part(AlertReceiver)]
PlaneDep = Annotated[DataPlane, part(DataPlane)]


class AlertAnswers(JsonModel):
    """What was done about each alert of a webhook, in its order."""

    alerts: list[AlertAnswer]


class ReceivedAlerts(JsonModel):
    """The last 50 alerts this gate received, newest first."""

    alerts: list[ReceivedAlert]


@router.post("/alerts", openapi_extra=ALERT_BODY, responses=ALERT_RESPONSES, response_model=AlertAnswers)
async def post_alerts(request: Request, receiver: ReceiverDep, plane: PlaneDep) -> Response:
    """Take a webhook of Alertmanager; firing alerts labelled `action="cleanup"` start a cleanup behind."""
    headers = dict(request.scope["headers"])
    check_json(headers)
    async with plane.body(headers, request.receive, "/alerts", ALERT_BODY_BYTES) as body:
        answers = AlertAnswers(alerts=await to_its_end(receiver.receive(bytes(await body.whole()))))
    # The framework would validate each of 2,000 answers once more, which takes longer than to act on them.
    return Response(answers.model_dump_json(), media_type="application/json")


@router.get("/alerts", responses=problems(s401="No valid token"))
async def get_alerts(receiver: ReceiverDep) -> ReceivedAlerts:
    """The last 50 alerts this gate received, newest first, with what was done about them."""
    return ReceivedAlerts(alerts=list(receiver.received))
