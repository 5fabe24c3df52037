"""Write ConfigMaps of the dashboards, which the sidecar of Grafana's Helm chart finds by their label."""

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
DASHBOARDS = ROOT / "grafana" / "dashboards"
RESOURCE = ROOT / "deploy" / "kubernetes" / "operator" / "dashboards.yaml"
COMMAND = "make dashboards"
HEAD = f"# Made by scripts/dashboard_configmaps.py from grafana/dashboards; renew it with `{COMMAND}`.\n"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as they are, so that a change of a panel is one of a few lines."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def resource() -> str:
    """The whole file; a ConfigMap for each dashboard, since one may have a mebibyte at most."""
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"tidegate-dashboard-{file.stem}",
                "labels": {"app.kubernetes.io/name": "tidegate", "grafana_dashboard": "1"},
                "annotations": {"grafana_folder": "Tidegate"},
            },
            "data": {f"tidegate-{file.name}": file.read_text(encoding="utf-8")},
        }
        for file in sorted(DASHBOARDS.glob("*.json"))
    ]
    return HEAD + yaml.dump_all(maps, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


if __name__ == "__main__":
    RESOURCE.write_text(resource(), encoding="utf-8")
    print(f"{RESOURCE.name} written")
