"""Write the operator's AlertmanagerConfig from alertmanager.yml: the way to the gate, and what is inhibited.

Who is told by which chat or pager is the cluster's own.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"
RESOURCE = ROOT / "deploy" / "kubernetes" / "operator" / "alertmanagerconfig.yaml"
COMMAND = ".venv/bin/python scripts/alertmanager_config.py"
HEAD = f"""\
# Made by scripts/alertmanager_config.py from deploy/alertmanager/alertmanager.yml; renew it with `{COMMAND}`.
# First the secret with one of the gate's admin tokens:
#   kubectl -n tidegate create secret generic tidegate-alertmanager --from-file=token
"""
# Leads to gates that are not ready as well: those are the ones that have to clean up.
URL = "http://tidegate-control.tidegate.svc:8000/alerts"
RECEIVER = "tidegate"
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')


def resource() -> str:
    """Return the whole file."""
    config = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    [route] = [route for route in config["route"]["routes"] if route["receiver"] == RECEIVER]
    [receiver] = [receiver for receiver in config["receivers"] if receiver["name"] == RECEIVER]
    document = {
        "apiVersion": "monitoring.coreos.com/v1alpha1",
        "kind": "AlertmanagerConfig",
        "metadata": {"name": "tidegate", "labels": {"app.kubernetes.io/name": "tidegate"}},
        "spec": {
            "route": _route(route),
            "receivers": [_receiver(receiver["webhook_configs"][0])],
            "inhibitRules": [_inhibition(rule) for rule in config["inhibit_rules"]],
        },
    }
    return HEAD + yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def _route(route: dict[str, Any]) -> dict[str, Any]:
    return {
        "receiver": route["receiver"],
        "matchers": _matchers(route["matchers"]),
        "groupBy": route["group_by"],
        "groupWait": route["group_wait"],
        "groupInterval": route["group_interval"],
        "repeatInterval": route["repeat_interval"],
        "continue": route["continue"],
    }


def _receiver(webhook: dict[str, Any]) -> dict[str, Any]:
    token = {"name": "tidegate-alertmanager", "key": "token"}
    access = {"type": "Bearer", "credentials": token}
    hook = {
        "url": URL,
        "sendResolved": webhook["send_resolved"],
        "maxAlerts": webhook["max_alerts"],
        "httpConfig": {
            "followRedirects": webhook["http_config"]["follow_redirects"],
            "authorization": access,
        },
    }
    return {"name": RECEIVER, "webhookConfigs": [hook]}


def _inhibition(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "sourceMatch": _matchers(rule["source_matchers"]),
        "targetMatch": _matchers(rule["target_matchers"]),
        "equal": rule["equal"],
    }


def _matchers(written: Iterable[str]) -> list[dict[str, str]]:
    """Split what Alertmanager writes as `severity=~"a|b"`."""
    return [_matcher(one) for one in written]


def _matcher(written: str) -> dict[str, str]:
    found = _MATCHER.fullmatch(written.strip())
    if found is None:
        raise ValueError(f"{written} is no matcher that is known here")
    name, operator, value = found.groups()
    # Equal is what it means without a type, and a bare `=` is more than YAML 1.1 can read.
    return {"name": name, "value": value} | ({} if operator == "=" else {"matchType": operator})


if __name__ == "__main__":
    RESOURCE.write_text(resource(), encoding="utf-8")
    print(f"{RESOURCE.name} written")
