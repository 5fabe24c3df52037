"""Write the Prometheus operator's PrometheusRule from the rules files, so that both hold the same rules."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
RULES = ROOT / "deploy" / "prometheus" / "rules"
RESOURCE = ROOT / "deploy" / "kubernetes" / "operator" / "prometheusrule.yaml"
COMMAND = ".venv/bin/python scripts/prometheus_rule.py"
HEAD = f"# Made by scripts/prometheus_rule.py from deploy/prometheus/rules; renew it with `{COMMAND}`.\n"


def resource() -> str:
    """The whole file; groups in the order of the files' names."""
    groups = [
        group
        for file in sorted(RULES.glob("*.rules.yml"))
        for group in yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader)["groups"]
    ]
    document = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "tidegate", "labels": {"app.kubernetes.io/name": "tidegate"}},
        "spec": {"groups": groups},
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


if __name__ == "__main__":
    RESOURCE.write_text(resource(), encoding="utf-8")
    print(f"{RESOURCE.name} written")
