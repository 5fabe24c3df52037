"""Decides what one alert gets: a cleanup, or the reason why not; receiver.py acts by it.

An alert gets a cleanup when it fires, is labelled `action="cleanup"`, and nobody had the same done within the
cooldown (2 minutes by default; cooldown.py). For example, of four deliveries within a minute:

    HighMemory, firing, map="transactions"        -> cleanup of transactions
    HighMemory, the same firing again             -> duplicate: it was acted on already
    StoreFull, firing, map="transactions"         -> cooldown: transactions were cleaned already
    HighMemory, resolved                          -> resolved: noted
"""

from enum import StrEnum
from typing import NamedTuple

from app.alerts.alert import Alert, InvalidAlert
from app.alerts.cooldown import CleanupRequest, Cooldown
from app.models import MapName

# What Grafana makes of a rule it could not evaluate; all labels of the rule are on it.
WITHOUT_DATA = frozenset({"DatasourceNoData", "DatasourceError"})


class Action(StrEnum):
    """What became of one alert."""

    CLEANUP = "cleanup"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"
    COOLDOWN = "cooldown"
    RESOLVED = "resolved"
    INVALID = "invalid"


class Decision(NamedTuple):
    """What becomes of an alert and why; `request` is there when a cleanup is to be run."""

    action: Action
    detail: str
    request: CleanupRequest | None = None


def decide(alert: Alert | InvalidAlert, cooldown: Cooldown) -> Decision:
    """Decide on one alert, by what was done within the cooldown until now."""
    if isinstance(alert, InvalidAlert):
        return Decision(Action.INVALID, str(alert))
    if alert.status == "resolved":
        return Decision(Action.RESOLVED, "noted")
    if alert.name in WITHOUT_DATA:
        return Decision(Action.IGNORED, "that a rule had no data is no reason for a cleanup")
    if not alert.asks_for_cleanup:
        return Decision(Action.IGNORED, 'it has no label action="cleanup"')
    return _decide_on_cleanup(alert, cooldown)


def _decide_on_cleanup(alert: Alert, cooldown: Cooldown) -> Decision:
    try:
        mode, maps = alert.wanted()
    except InvalidAlert as error:
        return Decision(Action.INVALID, str(error))
    if cooldown.knows(alert.identity):
        return Decision(Action.DUPLICATE, "this firing was acted on already; again after the cooldown")
    due = cooldown.due(mode, maps)
    if not due:
        return Decision(Action.COOLDOWN, "an alert had this done already; again after the cooldown")
    names = ", ".join(name for name in MapName if name in due)
    return Decision(Action.CLEANUP, f"{mode} cleanup of {names}", CleanupRequest(alert.identity, mode, due))
