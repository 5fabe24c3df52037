"""What makes the report of each day by itself: under systemd, on Kubernetes, and with Compose."""

import re
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from app.cli.report.daily import daily_report
from tests.deploy.test_manifests import DEPLOY, run

KUBERNETES = "1.33"


def _rendered(folder: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The resources of a folder by kind and name."""
    rendered = run("kubectl", "kustomize", DEPLOY / "kubernetes" / folder)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.load_all(rendered, yaml.CSafeLoader)}


def test_kubernetes_takes_the_job_and_its_volume() -> None:
    for document in _rendered("reports").values():
        kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_the_job_of_the_daily_report_may_ask_the_gate() -> None:
    reports, resources = _rendered("reports"), _rendered("base")
    pod = reports["CronJob", "tidegate-report"]["spec"]["jobTemplate"]["spec"]["template"]
    [container] = pod["spec"]["containers"]
    service = resources["Service", "tidegate"]
    gate = resources["Deployment", "tidegate"]["spec"]["template"]["spec"]["containers"][0]
    port = service["spec"]["ports"][0]["port"]
    assert f"--url=http://{service['metadata']['name']}:{port}" in container["args"]
    assert container["image"] == gate["image"]
    admitted = [
        one.get("podSelector") for one in resources["NetworkPolicy", "tidegate"]["spec"]["ingress"][0]["from"]
    ]
    assert {"matchLabels": pod["metadata"]["labels"]} in admitted
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert ("PersistentVolumeClaim", claim) in reports


def test_systemd_makes_the_report_of_a_day_after_its_end(tmp_path: Path) -> None:
    timer = DEPLOY / "systemd" / "tidegate-report.timer"
    for file in (timer, timer.with_suffix(".service")):
        text = file.read_text().replace(
            "/opt/tidegate/bin/tidegate", f"{Path(sys.executable).parent}/tidegate"
        )
        (tmp_path / file.name).write_text(text)
    run("systemd-analyze", "verify", tmp_path / timer.name)
    [when] = re.findall(r"^OnCalendar=(.+)$", timer.read_text(), re.MULTILINE)
    assert "00:15:00" in run("systemd-analyze", "calendar", when)


@pytest.mark.parametrize("place", ["systemd", "kubernetes", "compose"])
def test_the_command_that_makes_reports_by_itself_is_one_there_is(place: str) -> None:
    if place == "compose":
        given = yaml.safe_load((DEPLOY.parent / "docker-compose.yml").read_text())["services"][
            "daily-report"
        ]["command"]
    elif place == "kubernetes":
        job = yaml.safe_load((DEPLOY / "kubernetes/reports/cronjob.yaml").read_text())
        [container] = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        given = container["args"]
    else:
        unit = (DEPLOY / "systemd/tidegate-report.service").read_text()
        [line] = re.findall(r"^ExecStart=/opt/tidegate/bin/tidegate (.+)$", unit, re.MULTILINE)
        given = line.split()
    name, *options = given
    daily_report.make_context(name, list(options))
