"""Webhooks as Alertmanager and Grafana send them."""

from typing import Any

ALERTMANAGER = "http://127.0.0.1:9093"
LABELS = {"alertname": "TidegateStoreNearLimit", "severity": "warning", "action": "cleanup"}
STARTS_AT = "2026-11-23T04:10:26.739266876Z"


def alert(fingerprint: object = "c6eadffa33fcdf37", **changes: Any) -> dict[str, Any]:
    """One firing alert that asks for an emergency cleanup of all maps."""
    return {
        "status": "firing",
        "labels": LABELS,
        "annotations": {"summary": "The store is near its memory limit"},
        "startsAt": STARTS_AT,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://127.0.0.1:9090/graph?g0.expr=vector%281%29&g0.tab=1",
        "fingerprint": fingerprint,
    } | changes


def labelled(fingerprint: str = "c6eadffa33fcdf37", **labels: str) -> dict[str, Any]:
    """Make an alert with further labels."""
    return alert(fingerprint, labels=LABELS | labels)


def webhook(*alerts: object, **changes: Any) -> dict[str, Any]:
    """What Alertmanager posts."""
    return {
        "version": "4",
        "groupKey": '{}/{action="cleanup"}:{alertname="TidegateStoreNearLimit"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "tidegate",
        "groupLabels": {"alertname": "TidegateStoreNearLimit"},
        "commonLabels": LABELS,
        "commonAnnotations": {},
        "externalURL": ALERTMANAGER,
        "alerts": list(alerts),
    } | changes


def from_grafana(*alerts: dict[str, Any]) -> dict[str, Any]:
    """What Grafana's contact point posts: more members, of the whole and of each alert."""
    of_each = {
        "silenceURL": "http://127.0.0.1:3000/alerting/silence/new",
        "dashboardURL": "",
        "panelURL": "",
        "values": {"B": 44.23943737541908, "C": 1},
        "valueString": "[ var='B' labels={} value=44.239 ]",
    }
    return webhook(
        *(one | of_each for one in alerts),
        version="1",
        orgId=1,
        title="[FIRING:1] store",
        state="alerting",
        message="**Firing**",
    )
