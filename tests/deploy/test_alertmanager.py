"""Alertmanager's configuration, judged by Alertmanager and its own tool."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.support.inhibited_alerts import HEARD, MUTED, Labels, elsewhere, shipped_alerts
from tests.support.inhibition_mutants import silences, spoilt
from tests.support.monitoring import Alertmanager, alertmanager
from tests.support.processes import wait_until

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "deploy/alertmanager/alertmanager.yml"


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


def test_no_alert_silences_one_of_another_installation(running: Alertmanager) -> None:
    pairs = [moved for pair in MUTED for moved in elsewhere(pair)]
    post(running, *(first for first, _ in pairs))
    post(running, *(second for _, second in pairs))

    def states() -> dict[frozenset[tuple[str, str]], str]:
        every: list[dict[str, Any]] = running.get("/api/v2/alerts")
        return {frozenset(one["labels"].items()): one["status"]["state"] for one in every}

    moved = [frozenset(second.items()) for _, second in pairs]
    assert wait_until(lambda: "unprocessed" not in states().values(), 60)
    assert [labels for labels in moved if states()[labels] != "active"] == []


def inhibitions() -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = yaml.safe_load(CONFIG.read_text())["inhibit_rules"]
    return rules


def misjudged(rules: list[dict[str, Any]]) -> list[str]:
    """The pairs, asked of Alertmanager itself above, of which these rules say the contrary."""
    heard = [*HEARD, *(moved for pair in MUTED for moved in elsewhere(pair))]
    return [
        names(pair)
        for pairs, is_muted in ((MUTED, True), (heard, False))
        for pair in pairs
        if silences(rules, *pair) is not is_muted
    ]


def test_the_judge_of_inhibitions_says_what_alertmanager_says() -> None:
    assert misjudged(inhibitions()) == []


def test_no_spoilt_inhibition_goes_unnoticed() -> None:
    assert [how for how, rules in spoilt(inhibitions()) if not misjudged(rules)] == []
