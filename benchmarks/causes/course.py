"""The course of one cause: it is forced on a stack that was calm, told, taken away, and over."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from benchmarks.causes.stack import AS_SHIPPED, Build, Stack, stack
from benchmarks.common.results import say
from tests.support.processes import wait_until

PAUSE_SECONDS = 1.0
CALM_SECONDS = 240.0
TOLD_SECONDS = 1200.0
OVER_SECONDS = 1800.0

Trouble = Callable[[Stack], AbstractContextManager[None]]
"""Forces a cause when the block begins, and takes it away when it ends."""


@dataclass(frozen=True)
class Cause:
    """What is forced, and what has to be told of it."""

    name: str
    what: str
    """What happens, for the table."""
    alert: str
    receiver: str
    """`pager` or `humans`."""
    trouble: Trouble
    remedy: str
    """What ends it, for the table."""
    build: Build = AS_SHIPPED
    warm_up_seconds: float = 60.0
    """Time under load before the cause is forced, in which nothing may fire."""
    hold_seconds: float = 60.0
    """How long the cause stays after it was told, for what follows from it."""
    cleanup_alert: str | None = None
    """The alert for which the gate is to run a cleanup, if any."""
    besides: tuple[str, ...] = ()
    """The alerts of something else that is forced with it, and is told as well."""


@dataclass(frozen=True)
class Told:
    """One thing that people were told; seconds from the moment the cause was forced."""

    seconds: float
    receiver: str
    alert: str
    status: str


@dataclass
class Outcome:
    """What happened; all times in seconds from the moment the cause was forced."""

    name: str
    faster: int
    taken: str
    """When the cause was run: a date and a time of UTC, as in ISO 8601."""
    told: list[Told] = field(default_factory=list)
    fired: dict[str, tuple[float, float]] = field(default_factory=dict)
    """When each alert fired first and last, as Prometheus recorded it."""
    healed: float = 0.0
    """When the cause was taken away."""
    over: float = 0.0
    """When nothing fired any more."""
    at_gate: list[str] = field(default_factory=list)
    """What the gate did with the alerts it was sent, in order: `firing cleanup`."""
    cleanups: Mapping[str, float] = field(default_factory=dict)
    """Emergency cleanups by trigger."""
    problems: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the outcome as a document for JSON."""
        return asdict(self)


def run(cause: Cause) -> Outcome:
    """Start a stack of its own, and take it through the cause."""
    outcome = Outcome(cause.name, cause.build.faster, datetime.now(UTC).isoformat(timespec="seconds"))
    with stack(cause.build) as running:
        time.sleep(cause.warm_up_seconds)
        if not wait_until(lambda: not running.active(), CALM_SECONDS, PAUSE_SECONDS):
            outcome.problems.append(f"before it was forced: {', '.join(running.active())}")
        began = time.time()
        with cause.trouble(running):
            say(f"{cause.name}: forced")
            if not wait_until(lambda: _is_told(running, cause, "firing"), TOLD_SECONDS, PAUSE_SECONDS):
                outcome.problems.append(f"not told in {TOLD_SECONDS:.0f} s")
            say(f"{cause.name}: told after {time.time() - began:.0f} s")
            time.sleep(cause.hold_seconds)
        outcome.healed = time.time() - began
        if not wait_until(lambda: _is_over(running, cause), OVER_SECONDS, PAUSE_SECONDS):
            outcome.problems.append(f"not over in {OVER_SECONDS:.0f} s: {', '.join(running.active())}")
        _record(running, began, outcome)
    outcome.problems.extend(problems(cause, outcome))
    say(f"{cause.name}: {'; '.join(outcome.problems) or 'as wanted'}")
    return outcome


def problems(cause: Cause, outcome: Outcome) -> list[str]:
    """What is not as wanted: one thing told, by its name, to the right people, and its end; nothing else.

    What is forced beside it has to be told, too.
    """
    found = []
    # One message may tell of several feeds.
    messages = {(one.seconds, one.receiver, one.alert) for one in outcome.told if one.status == "firing"}
    firing = [(receiver, alert) for _, receiver, alert in messages]
    times = firing.count((cause.receiver, cause.alert))
    if times != 1:
        found.append(f"{cause.receiver} was told {times} times of {cause.alert}")
    others = {f"{who}: {alert}" for who, alert in firing if alert not in (cause.alert, *cause.besides)}
    others |= {f"{who}: {alert}" for who, alert in firing if alert == cause.alert and who != cause.receiver}
    if others:
        found.append(f"told beside it: {', '.join(sorted(others))}")
    if untold := set(cause.besides) - {alert for _, alert in firing}:
        found.append(f"not told beside it: {', '.join(sorted(untold))}")
    last = [one.status for one in outcome.told if one.alert == cause.alert][-1:]
    if last != ["resolved"]:
        found.append("its end was not told")
    if cause.cleanup_alert and "firing cleanup" not in outcome.at_gate:
        found.append("no cleanup was run for it")
    if cause.cleanup_alert and outcome.at_gate[-1:] != ["resolved resolved"]:
        found.append("the gate was not told of its end")
    return found


def _is_told(running: Stack, cause: Cause, status: str) -> bool:
    told = running.people[cause.receiver].told()
    return any((name, how) == (cause.alert, status) for _, name, how in told)


def _is_over(running: Stack, cause: Cause) -> bool:
    """Whether its end was told, and nothing has fired or was about to for a while."""
    if not _is_told(running, cause, "resolved"):
        return False
    try:
        return not running.active()
    except httpx.TimeoutException:  # of a Prometheus on a busy machine
        return False


def _record(running: Stack, began: float, outcome: Outcome) -> None:
    outcome.over = time.time() - began
    outcome.told = [
        Told(round(at - began, 1), who, alert, status)
        for at, who, alert, status in running.told()
        if at >= began
    ]
    step = max(0.25, round(outcome.over / 5000, 2))
    firing = 'ALERTS{alertstate="firing", alertname!="TidegateWatchdog"}'
    for series in running.prometheus.query_range(firing, began, time.time(), step):
        times = [float(at) - began for at, _ in series["values"]]
        first, last = outcome.fired.get(series["metric"]["alertname"], (times[0], times[-1]))
        spell = (round(min(first, times[0]), 1), round(max(last, times[-1]), 1))
        outcome.fired[series["metric"]["alertname"]] = spell
    kept = running.gate.call("GET", "/alerts")["alerts"]
    outcome.at_gate = [f"{one['status']} {one['action']}" for one in reversed(kept)]
    runs = running.prometheus.query('sum by (trigger) (tidegate_cleanup_runs_total{mode="emergency"}) > 0')
    outcome.cleanups = {one["metric"]["trigger"]: float(one["value"][1]) for one in runs}
