"""Alertmanager's configuration, judged by Alertmanager and its own tool."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.deployed_rules import alerts
from tests.support.monitoring import Alertmanager, alertmanager
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy/alertmanager/alertmanager.yml"

Labels = dict[str, str]
GATE = {"job": "tidegate", "instance": "127.0.0.1:8000"}


def amtool(*arguments: str) -> str:
    """What Alertmanager's tool prints; it has to find nothing wrong."""
    done = subprocess.run(
        ["amtool", *arguments],
        stdin=subprocess.DEVNULL,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def receivers(labels: Labels) -> list[str]:
    """Who is sent an alert with these labels, in the order of the routes."""
    pairs = [f"{name}={value}" for name, value in labels.items()]
    return amtool("config", "routes", "test", f"--config.file={CONFIG}", *pairs).strip().split(",")


def shipped_alerts() -> dict[str, Labels]:
    """The labels each shipped rule gives its alert."""
    return {rule.name: rule.written["labels"] for rule in alerts()}


def expected_receivers(name: str, labels: Labels) -> list[str]:
    """By the labels alone: the gate if a cleanup helps, and one place for humans."""
    if name == "TidegateWatchdog":
        return ["watchdog"]
    humans = {"critical": "pager", "info": "nobody"}.get(labels["severity"], "humans")
    return ["tidegate", humans] if labels.get("action") == "cleanup" else [humans]


def test_the_configuration_is_valid() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(("name", "labels"), shipped_alerts().items(), ids=shipped_alerts().keys())
def test_each_shipped_alert_goes_to_the_gate_if_a_cleanup_helps_and_to_humans(
    name: str, labels: Labels
) -> None:
    assert receivers({"alertname": name, **labels}) == expected_receivers(name, labels)


def test_there_are_shipped_alerts_of_every_way() -> None:
    ways = {tuple(expected_receivers(*alert)) for alert in shipped_alerts().items()}
    assert ways >= {("watchdog",), ("pager",), ("humans",), ("tidegate", "humans")}


def test_an_alert_that_pages_may_ask_for_a_cleanup_too() -> None:
    """As one of an installation's own rules may."""
    labels = {"alertname": "TidegateSomething", "severity": "critical", "action": "cleanup"}
    assert receivers(labels) == expected_receivers("TidegateSomething", labels) == ["tidegate", "pager"]


@pytest.mark.parametrize("labels", [{}, {"severity": "unheard-of"}, {"action": "restart"}])
def test_alerts_of_others_go_to_humans(labels: Labels) -> None:
    assert receivers({"alertname": "SomethingElse", **labels}) == ["humans"]


def test_the_gate_is_called_with_a_token_from_a_file() -> None:
    every = yaml.safe_load(CONFIG.read_text())["receivers"]
    [hook] = next(one for one in every if one["name"] == "tidegate")["webhook_configs"]
    assert hook["url"].endswith("/alerts")
    assert hook["send_resolved"] is True
    assert hook["http_config"]["authorization"].keys() == {"type", "credentials_file"}


@pytest.fixture(scope="module")
def running() -> Iterator[Alertmanager]:
    """An Alertmanager with this configuration; it finds neither gate nor token, only what it mutes counts."""
    with alertmanager(CONFIG) as started:
        yield started


def post(running: Alertmanager, *alerts: Labels) -> None:
    body = [{"labels": labels} for labels in alerts]
    answer = httpx.post(f"{running.url}/api/v2/alerts", json=body, trust_env=False, verify=False, timeout=10)
    assert answer.status_code == 200, answer.text


def state(running: Alertmanager, labels: Labels) -> str:
    """`active` or `suppressed`; `unprocessed` until Alertmanager has looked."""
    every: list[dict[str, Any]] = running.get("/api/v2/alerts")
    [found] = [alert for alert in every if alert["labels"] == labels]
    return str(found["status"]["state"])


def alert(name: str, number: int, **more: str) -> Labels:
    """The labels of a shipped alert of one gate; of another job for each number."""
    labels = shipped_alerts().get(name, {})
    return {"alertname": name, **labels, **GATE, "job": f"tidegate-{number}"} | more


MUTED = [
    (alert("TidegateStoreDown", 1), alert("TidegateIngestSlow", 1)),
    (alert("TidegateStoreDown", 7), alert("TidegateFeedSilent", 7, source="a")),
    (alert("TidegateStoreDown", 8), alert("TidegateDuplicateRatioUnusual", 8)),
    (alert("TidegateAbsent", 2), alert("TidegateTargetDown", 2)),
    (
        alert("TidegateErrorBudgetBurnFast", 3, sli="requests"),
        alert("TidegateErrorBudgetBurnSlow", 3, sli="requests"),
    ),
    (alert("TidegateMemoryPressureHard", 4), alert("TidegateMemoryNearLimit", 4)),
    (alert("TidegateMemoryPressureHard", 5), alert("TidegateMemoryLimitPredicted", 5)),
    (
        alert("TidegateConsumerMisses", 9, consumer="bot"),
        alert("TidegateConsumerLagging", 9, consumer="bot"),
    ),
    (
        alert("TidegateConsumerMisses", 10, consumer="bot"),
        alert("TidegateConsumerGone", 10, consumer="bot"),
    ),
    (alert("TidegateStoreDown", 30), alert("TidegateIngestRefused", 30)),
    (alert("TidegateStoreFull", 31), alert("TidegateIngestRefused", 31)),
    (alert("TidegateStorePartlyDown", 59), alert("TidegateIngestSlow", 59)),
    (alert("TidegateSignaturesFull", 32), alert("TidegateIngestRefused", 32)),
    (alert("TidegateMemoryPressureHard", 33), alert("TidegateIngestRefused", 33)),
    (alert("TidegateErrorBudgetBurnFast", 34, sli="requests"), alert("TidegateIngestRefused", 34)),
    (alert("TidegateStoreFull", 35), alert("TidegateStoreNearLimit", 35)),
    (alert("TidegateStoreFull", 37), alert("TidegateEmergencyCleanupsRepeating", 37)),
    (alert("TidegateMemoryPressureHard", 38), alert("TidegateEmergencyCleanupsRepeating", 38)),
    (alert("TidegateIngestRejected", 39), alert("TidegateFeedRejected", 39, source="a")),
    (alert("TidegateIngestRejected", 40), alert("TidegateFeedTokensRefused", 40)),
    (alert("TidegateStoreEvicting", 41), alert("TidegateStoreSetBack", 41, kind="keys_gone")),
    (alert("TidegateStoreEvicting", 42), alert("TidegateConsumerMisses", 42, consumer="bot")),
    (alert("TidegateStoreSetBack", 43, kind="emptied"), alert("TidegateConsumerMisses", 43, consumer="bot")),
    (alert("TidegateRestarting", 44), alert("TidegateTargetDown", 44)),
    (alert("TidegateWorkersRestarting", 45), alert("TidegateWorkersDown", 45)),
    (
        alert("TidegateGuardIneffective", 46, process="gate"),
        alert("TidegateLeakConfirmed", 46, process="gate"),
    ),
    (
        alert("TidegateGuardIneffective", 47, process="gate"),
        alert("TidegateLeakSustained", 47, process="gate"),
    ),
    (alert("TidegateLeakConfirmed", 48, process="gate"), alert("TidegateLeakSustained", 48, process="gate")),
    (alert("TidegateLeakConfirmed", 49, process="gate"), alert("TidegateSlowLeak", 49, process="gate")),
    (alert("TidegateLeakConfirmed", 60, process="store"), alert("TidegateStoreLeakSuspected", 60)),
    (alert("TidegateGuardIneffective", 61, process="store"), alert("TidegateStoreLeakSuspected", 61)),
    (
        alert("TidegateCleanupFailing", 56, map="signatures"),
        alert("TidegateCleanupStale", 56, map="signatures"),
    ),
    (alert("TidegateCleanupFailing", 57, map="signatures"), alert("TidegateCleanupInefficient", 57)),
    (alert("TidegateCleanupStale", 58, map="signatures"), alert("TidegateCleanupInefficient", 58)),
    (alert("TidegateStoreEvicting", 50), alert("TidegateStoreMayEvict", 50)),
    (alert("TidegateStoreEvicting", 97), alert("TidegateStoreNearLimit", 97)),
    (alert("TidegateWindowTooShort", 51), alert("TidegateFeedNearWindow", 51, source="a")),
    (alert("TidegateCpuSaturated", 52, process="gate"), alert("TidegateEventLoopLag", 52)),
    (alert("TidegateCpuSaturated", 53, process="gate"), alert("TidegateIngestSlow", 53)),
    (alert("TidegateEventLoopLag", 54), alert("TidegateIngestSlow", 54)),
    (
        alert("TidegateConnectionsNearLimit", 55, process="gate"),
        alert("TidegateDescriptorsNearLimit", 55, process="gate"),
    ),
    (alert("TidegateSignaturesFull", 36), alert("TidegateSignaturesNearLimit", 36, limit="entries")),
    *(
        (alert(cause, number), alert(name, number, **more))
        for number, (cause, name, more) in enumerate(
            (
                (cause, name, more)
                for cause in (
                    "TidegateStoreDown",
                    "TidegateStorePartlyDown",
                    "TidegateStoreFull",
                    "TidegateSignaturesFull",
                    "TidegateMemoryPressureHard",
                )
                for name, more in (
                    ("TidegateErrorBudgetBurnFast", {"sli": "requests"}),
                    ("TidegateErrorBudgetBurnSlow", {"sli": "transactions"}),
                    ("TidegateIngestStopped", {}),
                    ("TidegateIngestRejected", {}),
                )
            ),
            start=100,
        )
    ),
    (alert("TidegateAbsent", 63), alert("TidegateIngestStopped", 63)),
    (alert("TidegateAbsent", 64), alert("TidegateConsumerMisses", 64, consumer="bot")),
    (alert("TidegateStoreDown", 65), alert("TidegateConsumerMisses", 65, consumer="bot")),
    (alert("TidegateStorePartlyDown", 66), alert("TidegateConsumerLagging", 66, consumer="bot")),
    (
        alert("TidegateFeedTokensRefused", 67, source="a"),
        alert("TidegateFeedSilent", 67, source="a"),
    ),
    (
        alert("TidegateConsumerGone", 68, consumer="bot"),
        alert("TidegateConsumerLagging", 68, consumer="bot"),
    ),
    (
        alert("Disk", 6, severity="critical", map="transactions"),
        alert("Disk", 6, severity="warning", map="transactions"),
    ),
]
HEARD = [
    # What a cleanup helps still reaches the gate.
    (alert("TidegateStoreDown", 11), alert("TidegateMemoryNearLimit", 11)),
    # What a lost store does not explain.
    (alert("TidegateStoreDown", 21), alert("TidegateMemoryLimitPredicted", 21)),
    (alert("TidegateStoreDown", 22), alert("TidegateLeakSuspected", 22, process="gate")),
    (alert("TidegateStoreDown", 23), alert("TidegateSlowLeak", 23, process="gate")),
    (alert("TidegateStoreDown", 24), alert("TidegateLeakSustained", 24, process="gate")),
    (alert("TidegateStoreDown", 25), alert("TidegateGuardIneffective", 25)),
    (alert("TidegateStoreDown", 26), alert("TidegateGuardDisabled", 26)),
    (alert("TidegateStoreDown", 27), alert("TidegateEventLoopLag", 27)),
    (alert("TidegateStoreDown", 28), alert("TidegateWorkersRestarting", 28)),
    # Another gate is not this gate.
    (alert("TidegateRestarting", 12), alert("TidegateTargetDown", 12, instance="other")),
    (alert("TidegateMemoryPressureHard", 13), alert("TidegateMemoryNearLimit", 13, instance="other")),
    (
        alert("Disk", 14, severity="critical", map="transactions"),
        alert("Disk", 14, severity="warning", map="observations"),
    ),
    # Another consumer is not this consumer.
    (
        alert("TidegateConsumerMisses", 16, consumer="bot"),
        alert("TidegateConsumerLagging", 16, consumer="other"),
    ),
    (
        alert("TidegateConsumerMisses", 17, consumer="bot"),
        alert("TidegateConsumerGone", 17, consumer="other"),
    ),
    # That one is gone does not say that it misses something.
    (
        alert("TidegateConsumerGone", 72, consumer="bot"),
        alert("TidegateConsumerMisses", 72, consumer="bot"),
    ),
    # What is refused in one job says nothing of another, and what feeds send wrongly explains no failures.
    (alert("TidegateStoreDown", 18), alert("TidegateIngestStopped", 180)),
    (alert("TidegateIngestRejected", 19), alert("TidegateErrorBudgetBurnFast", 19, sli="requests")),
    # A consumer that is gone explains nothing of another one.
    (
        alert("TidegateConsumerGone", 70, consumer="bot"),
        alert("TidegateConsumerLagging", 70, consumer="other"),
    ),
    # A token that is refused says nothing of another feed, nor, where nobody knows whose it is, of any.
    (
        alert("TidegateFeedTokensRefused", 73, source="a"),
        alert("TidegateFeedSilent", 73, source="b"),
    ),
    (alert("TidegateFeedTokensRefused", 74), alert("TidegateFeedSilent", 74, source="a")),
    # What the gates refuse says nothing of the pager's webhook: the rule leaves out what they explain.
    (
        alert("TidegateAlertsRefused", 71, code="401"),
        alert("TidegateNotificationsFailing", 71, integration="webhook"),
    ),
    # A leak of the store is not one of the gate, nor one of the gate one of the store.
    (alert("TidegateLeakConfirmed", 62, process="gate"), alert("TidegateStoreLeakSuspected", 62)),
    (alert("TidegateLeakConfirmed", 20, process="gate"), alert("TidegateSlowLeak", 20, process="store")),
    # A gate that is down explains no failures.
    (alert("TidegateTargetDown", 15), alert("TidegateErrorBudgetBurnSlow", 15, sli="requests")),
]


def names(pair: tuple[Labels, Labels]) -> str:
    return " and ".join(labels["alertname"].removeprefix("Tidegate") for labels in pair)


@pytest.mark.parametrize("pair", MUTED, ids=names)
def test_an_alert_silences_what_it_explains(running: Alertmanager, pair: tuple[Labels, Labels]) -> None:
    critical, warning = pair
    post(running, critical)
    post(running, warning)
    assert wait_until(lambda: state(running, warning) == "suppressed", 60), state(running, warning)
    assert state(running, critical) == "active"


@pytest.mark.parametrize("pair", HEARD, ids=names)
def test_no_other_alert_is_silenced(running: Alertmanager, pair: tuple[Labels, Labels]) -> None:
    first, second = pair
    post(running, first)
    post(running, second)
    assert wait_until(lambda: state(running, second) != "unprocessed", 60)
    assert state(running, second) == "active"
