"""What goes wrong between Prometheus, Alertmanager, the gate and people."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from benchmarks.causes.course import Cause
from benchmarks.causes.stack import ADMIN_TOKEN, Stack

FORBIDDEN, TAKEN = 403, 204


def raise_alert(stack: Stack, name: str, **labels: str) -> None:
    """Raise an alert of another origin, which ends by itself."""
    alert = {"labels": {"alertname": name, "job": "another", **labels}}
    answer = httpx.post(f"{stack.alertmanager.url}/api/v2/alerts", json=[alert], trust_env=False, timeout=10)
    answer.raise_for_status()


@contextmanager
def alerts_refused(stack: Stack) -> Iterator[None]:
    """Have Alertmanager show the gate a token that it does not take, and an alert for which it has to."""
    stack.token_file.write_text("of-somebody-else\n")
    raise_alert(stack, "TryCleanup", severity="info", action="cleanup", mode="normal")
    yield
    stack.token_file.write_text(f"{ADMIN_TOKEN}\n")


@contextmanager
def pager_refuses(stack: Stack) -> Iterator[None]:
    """Have the pager's service refuse what it is sent, such as a page about something else."""
    pager = stack.people["pager"]
    pager.answer = FORBIDDEN
    raise_alert(stack, "SomethingElse", severity="critical")
    yield
    pager.answer = TAKEN


CAUSES = (
    Cause(
        "alerts-refused",
        "Alertmanager shows the gate a token that it does not take",
        "TidegateAlertsRefused",
        "humans",
        alerts_refused,
        "the right token in `secrets/tidegate_token`",
        hold_seconds=120.0,
    ),
    Cause(
        "pager-refuses",
        "The pager's service answers Alertmanager 403",
        "TidegateNotificationsFailing",
        "humans",
        pager_refuses,
        "the service takes pages again",
    ),
)
