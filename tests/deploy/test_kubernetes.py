"""What Kubernetes is given, rendered by kustomize, checked by its schemas and against one another."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import promql_parser
import pytest
import yaml

from app.settings.model import Settings, env_name
from scripts import alertmanager_config, dashboard_configmaps, prometheus_rule
from tests.deploy.test_manifests import DEPLOY, run
from tests.support.deployed_rules import RUNBOOKS, nodes

KUBERNETES = "1.33"
PROMETHEUS_RESOURCE = re.compile(r"^    spec:\n(?:      .*\n)+", re.MULTILINE)
# Of kube-prometheus, and of the Helm charts kube-prometheus-stack and prometheus-redis-exporter.
JOBS_OF_MONITORING = (
    *("prometheus-k8s", "alertmanager-main"),
    *("kube-prometheus-stack-prometheus", "kube-prometheus-stack-alertmanager", "prometheus-redis-exporter"),
)
OPERATOR_KINDS = {"PrometheusRule", "ServiceMonitor", "AlertmanagerConfig"}


@cache
def rendered(overlay: str) -> list[dict[str, Any]]:
    """The resources that kustomize makes of a folder, not to be changed."""
    return list(yaml.load_all(run("kubectl", "kustomize", DEPLOY / "kubernetes" / overlay), yaml.CSafeLoader))


@pytest.mark.parametrize("overlay", ["base", "operator", "example"])
def test_kubernetes_takes_every_resource(overlay: str) -> None:
    documents = rendered(overlay)
    kinds = {document["kind"] for document in documents}
    assert (kinds >= OPERATOR_KINDS) == (overlay != "base")
    for document in documents:
        if document["kind"] not in OPERATOR_KINDS:
            kubernetes_validate.validate(document, KUBERNETES, strict=True)


@pytest.fixture(scope="module")
def resources() -> dict[str, dict[str, Any]]:
    """The resources that are named after the gate, by kind."""
    named = (document for document in rendered("operator") if document["metadata"]["name"] == "tidegate")
    return {document["kind"]: document for document in named}


@pytest.fixture(scope="module")
def example() -> dict[tuple[str, str], dict[str, Any]]:
    """The resources of the overlay with everything, by kind and name."""
    return {(one["kind"], one["metadata"]["name"]): one for one in rendered("example")}


def test_the_parts_in_kubernetes_find_one_another(resources: dict[str, dict[str, Any]]) -> None:
    pod = resources["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    for selector in (
        resources["Deployment"]["spec"]["selector"]["matchLabels"],
        resources["Service"]["spec"]["selector"],
        resources["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        resources["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    monitor = resources["ServiceMonitor"]["spec"]
    assert monitor["selector"]["matchLabels"].items() <= resources["Service"]["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] in {port["name"] for port in resources["Service"]["spec"]["ports"]}
    [container] = pod["spec"]["containers"]
    known = {env_name(field) for field in Settings.model_fields}
    assert {variable["name"] for variable in container["env"]} <= known


def test_memory_is_guaranteed_and_only_cpu_scales(resources: dict[str, dict[str, Any]]) -> None:
    [container] = resources["Deployment"]["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"]["memory"] == container["resources"]["limits"]["memory"]
    metrics = resources["HorizontalPodAutoscaler"]["spec"]["metrics"]
    assert [metric["resource"]["name"] for metric in metrics] == ["cpu"]


def test_the_operators_rules_are_those_of_prometheus(tmp_path: Path) -> None:
    assert prometheus_rule.RESOURCE.read_text() == prometheus_rule.resource(), prometheus_rule.COMMAND
    rules = tmp_path / "rules.yml"
    document = yaml.load(prometheus_rule.RESOURCE.read_text(), yaml.CSafeLoader)
    rules.write_text(yaml.dump(document["spec"], Dumper=yaml.CSafeDumper))
    assert "SUCCESS" in run("promtool", "check", "rules", rules)


def test_the_operators_rules_look_for_the_jobs_that_its_prometheus_makes(
    resources: dict[str, dict[str, Any]],
) -> None:
    monitor, service = resources["ServiceMonitor"]["spec"], resources["Service"]
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    jobs = {service["metadata"]["labels"][monitor["jobLabel"]], *JOBS_OF_MONITORING}
    groups = resources["PrometheusRule"]["spec"]["groups"]
    asked = [found for group in groups for rule in group["rules"] for found in job_matchers(rule["expr"])]
    assert asked
    for matcher in asked:
        assert [job for job in jobs if matches(matcher, job)], matcher
    unknown = [job for job in jobs if not any(matches(matcher, job) for matcher in asked)]
    assert unknown == []
    # An alert keeps the job that it found, and inhibitions compare it; none asks for one by its name.
    for rule in resources["AlertmanagerConfig"]["spec"]["inhibitRules"]:
        assert "job" not in {one["name"] for one in (*rule["sourceMatch"], *rule["targetMatch"])}


def job_matchers(expression: str) -> list[promql_parser.Matcher]:
    """Every matcher of the label `job` in an expression."""
    selectors = (node for node in nodes(expression) if isinstance(node, promql_parser.VectorSelector))
    return [one for selector in selectors for one in selector.matchers.matchers if one.name == "job"]


def matches(matcher: promql_parser.Matcher, job: str) -> bool:
    """Whether a job's series is chosen."""
    assert matcher.op in (promql_parser.MatchOp.Equal, promql_parser.MatchOp.Re), matcher
    if matcher.op == promql_parser.MatchOp.Re:
        return re.fullmatch(matcher.value, job) is not None
    return bool(matcher.value == job)


def test_what_the_operators_alertmanager_goes_by_is_what_alertmanager_does(
    resources: dict[str, dict[str, Any]],
) -> None:
    written, command = alertmanager_config.RESOURCE.read_text(), alertmanager_config.COMMAND
    assert written == alertmanager_config.resource(), command
    source = yaml.safe_load(alertmanager_config.SOURCE.read_text())
    spec = resources["AlertmanagerConfig"]["spec"]
    assert len(spec["inhibitRules"]) == len(source["inhibit_rules"])
    for rule, original in zip(spec["inhibitRules"], source["inhibit_rules"], strict=True):
        for given, wanted in (("sourceMatch", "source_matchers"), ("targetMatch", "target_matchers")):
            texts = [f'{one["name"]}{one.get("matchType", "=")}"{one["value"]}"' for one in rule[given]]
            assert texts == original[wanted]


def test_alerts_reach_a_gate_that_is_not_ready_and_feeds_do_not(
    example: dict[tuple[str, str], dict[str, Any]],
) -> None:
    control, feeds = example["Service", "tidegate-control"], example["Service", "tidegate"]
    assert control["spec"]["publishNotReadyAddresses"] is True
    assert not feeds["spec"].get("publishNotReadyAddresses")
    assert control["spec"]["selector"] == feeds["spec"]["selector"]
    [receiver] = example["AlertmanagerConfig", "tidegate"]["spec"]["receivers"]
    [hook] = receiver["webhookConfigs"]
    [port] = control["spec"]["ports"]
    where = f"{control['metadata']['name']}.{control['metadata']['namespace']}.svc:{port['port']}"
    assert hook["url"] == f"http://{where}/alerts"
    # Else each gate would be scraped twice.
    monitor = example["ServiceMonitor", "tidegate"]["spec"]["selector"]["matchLabels"]
    assert not monitor.items() <= control["metadata"]["labels"].items()
    [container] = example["Deployment", "tidegate"]["spec"]["template"]["spec"]["containers"]
    [opened] = container["ports"]
    assert opened["name"] == port["targetPort"]
    ways_in = example["NetworkPolicy", "tidegate"]["spec"]["ingress"]
    sources = [(source, way["ports"]) for way in ways_in for source in way["from"]]
    monitoring = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    [ports] = [ports for source, ports in sources if source == monitoring]
    assert opened["containerPort"] in {one["port"] for one in ports}


def test_the_config_maps_hold_the_dashboards() -> None:
    assert dashboard_configmaps.RESOURCE.read_text() == dashboard_configmaps.resource(), "make dashboards"
    maps = {one["metadata"]["name"]: one for one in rendered("operator") if one["kind"] == "ConfigMap"}
    files = {file.stem: file for file in dashboard_configmaps.DASHBOARDS.glob("*.json")}
    assert set(maps) == {f"tidegate-dashboard-{name}" for name in files}
    for name, file in files.items():
        one = maps[f"tidegate-dashboard-{name}"]
        [text] = one["data"].values()
        assert json.loads(text) == json.loads(file.read_text())
        assert one["metadata"]["labels"]["grafana_dashboard"] == "1"
        # `kubectl apply` keeps what it has applied in an annotation, which may be this long.
        assert len(json.dumps(one)) < 256 * 1024, name


def test_the_operators_prometheus_is_given_every_runbook_to_serve() -> None:
    [one] = yaml.load_all(run("kubectl", "kustomize", RUNBOOKS), yaml.CSafeLoader)
    assert one["data"] == {page.name: page.read_text(encoding="utf-8") for page in RUNBOOKS.glob("*.md")}
    name = one["metadata"]["name"]
    resource = yaml.safe_load(PROMETHEUS_RESOURCE.search((DEPLOY / "README.md").read_text())[0])["spec"]  # type: ignore[index]
    assert resource["configMaps"] == [name]
    assert resource["additionalArgs"] == [
        {"name": "web.user-assets", "value": f"/etc/prometheus/configmaps/{name}"}
    ]
    assert len(json.dumps(one)) < 256 * 1024, "as `kubectl apply` keeps it in an annotation"


def test_a_gate_that_is_not_ready_keeps_no_node_from_being_drained(
    resources: dict[str, dict[str, Any]],
) -> None:
    assert resources["PodDisruptionBudget"]["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_gates_are_spread_over_zones_and_nodes(resources: dict[str, dict[str, Any]]) -> None:
    pod = resources["Deployment"]["spec"]["template"]
    spread = pod["spec"]["topologySpreadConstraints"]
    keys = [constraint["topologyKey"] for constraint in spread]
    assert keys == ["topology.kubernetes.io/zone", "kubernetes.io/hostname"]
    for constraint in spread:
        assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()


def test_the_ingress_passes_on_what_the_proxies_do_to_the_port_of_the_service(
    example: dict[tuple[str, str], dict[str, Any]],
) -> None:
    ingress, service = example["Ingress", "tidegate"]["spec"], example["Service", "tidegate"]
    [rule], [tls] = ingress["rules"], ingress["tls"]
    assert tls["hosts"] == [rule["host"]]
    paths = {path["path"]: path for path in rule["http"]["paths"]}
    assert {name: path["pathType"] for name, path in paths.items()} == {
        "/feeds": "Prefix",
        "/transactions": "Exact",
    }
    for path in paths.values():
        backend = path["backend"]["service"]
        assert backend["name"] == service["metadata"]["name"]
        assert backend["port"]["name"] in {port["name"] for port in service["spec"]["ports"]}


def test_every_network_policy_is_for_the_gates(example: dict[tuple[str, str], dict[str, Any]]) -> None:
    labels = example["Deployment", "tidegate"]["spec"]["template"]["metadata"]["labels"]
    policies = {name: one["spec"] for (kind, name), one in example.items() if kind == "NetworkPolicy"}
    assert set(policies) == {"tidegate", "tidegate-ingress", "tidegate-managed-store"}
    for policy in policies.values():
        assert policy["podSelector"]["matchLabels"].items() <= labels.items()
