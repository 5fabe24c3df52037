"""A real Prometheus evaluates every rule and every query of the runbooks, and serves the runbooks."""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import yaml

from tests.deploy.test_runbooks import PAGES, blocks
from tests.support.deployed_rules import RULE_FILES, RUNBOOKS, alerts, rules
from tests.support.gate import gate_process
from tests.support.monitoring import Prometheus, prometheus
from tests.support.pages import PROJECT, links
from tests.support.processes import free_port, wait_until

PATIENCE_SECONDS = 60.0
A_ROUND_SECONDS = 90.0
INTERVAL = "1s"


def config(folder: Path, *gate_urls: str) -> Path:
    """The shipped rules, evaluated quickly, and the gates."""
    targets = [{"targets": [url.removeprefix("http://") for url in gate_urls]}]
    document = {
        "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [str(file) for file in RULE_FILES],
        "scrape_configs": [{"job_name": "tidegate", "static_configs": targets}],
    }
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(document))
    return file


def evaluated(server: Prometheus) -> set[str]:
    """The names of the rules that have been evaluated without an error."""
    groups = server.get("/api/v1/rules")["data"]["groups"]
    return {rule["name"] for group in groups for rule in group["rules"] if rule["health"] == "ok"}


def others(server: Prometheus) -> list[dict[str, Any]]:
    """The alerts beside the one that always fires: none for gates that have just started and are idle."""
    return server.query('ALERTS{alertname!="TidegateWatchdog"}')


def served_links() -> list[tuple[str, str]]:
    """The links to what Prometheus has to serve, as page and target; others have the project's address.

    That those lead somewhere is checked in test_runbooks.py, by the files that they stand for.
    """
    found = ((page.name, target.partition("#")[0]) for page in PAGES for target in links(page))
    return sorted({link for link in found if link[1] and not link[1].startswith(PROJECT)})


def test_every_rule_works_against_real_gates_and_links_to_a_page_prometheus_serves(tmp_path: Path) -> None:
    port = free_port()
    with gate_process(memory_limit_bytes=2**30) as gate, gate_process(workers=2) as of_workers:
        options = (f"--web.user-assets={RUNBOOKS}", f"--web.external-url=http://127.0.0.1:{port}")
        with prometheus(config(tmp_path, gate.url, of_workers.url), *options, port=port) as server:
            assert wait_until(lambda: evaluated(server) == {rule.name for rule in rules()}, PATIENCE_SECONDS)
            assert wait_until(lambda: bool(server.alerts("TidegateWatchdog")), PATIENCE_SECONDS)
            assert wait_until(lambda: server.unhealthy() == [], PATIENCE_SECONDS), server.unhealthy()
            [alert] = server.alerts("TidegateWatchdog")
            runbook = httpx.get(
                alert["annotations"]["runbook_url"], trust_env=False, verify=False, timeout=10
            )
            assert runbook.status_code == 200
            assert runbook.headers["content-type"].startswith("text/")
            assert runbook.text.startswith("# TidegateWatchdog\n")
            assert wait_until(
                lambda: server.value("job_map:tidegate_map_entries:max") is not None, PATIENCE_SECONDS
            )
            assert wait_until(lambda: server.value("tidegate_workers_up") == 2, PATIENCE_SECONDS)
            for page in PAGES:
                for query in "".join(blocks(page, "promql")).splitlines():
                    server.query(query)
            # A task whose first run comes before the store is up is well after its next run, a minute later.
            assert wait_until(lambda: others(server) == [], A_ROUND_SECONDS), others(server)


def test_prometheus_serves_the_runbook_of_every_alert_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    mounted = tmp_path / "tidegate-runbooks"
    shutil.copytree(RUNBOOKS, mounted / "..2026_11_30")
    (mounted / "..data").symlink_to("..2026_11_30")
    for page in PAGES:
        (mounted / page.name).symlink_to(f"..data/{page.name}")
    with (
        prometheus(config(tmp_path), f"--web.user-assets={mounted}") as server,
        httpx.Client(base_url=server.url, trust_env=False, verify=False, timeout=10) as browser,
    ):
        for alert in alerts():
            runbook = browser.get(f"/user/{alert.name}.md")
            assert runbook.text.startswith(f"# {alert.name}\n"), runbook.status_code
        for name, target in served_links():
            assert browser.get(urljoin(f"/user/{name}", target)).is_success, f"{name}: {target}"
