"""The shipped configuration of Prometheus and Alertmanager, with faster time and the addresses of a test."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
# Two minutes of the shipped rules are one second here.
FASTER = 120
SCRAPE_INTERVAL = "250ms"

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?<![\w.:])(\d+)(ms|s|m|h|d)\b")
_UPTIME = re.compile(r"(tidegate_start_time_seconds > [\d* ]*\d)")
_RULE_DURATIONS = ("expr", "for", "keep_firing_for")
_ROUTE_DURATIONS = ("group_wait", "group_interval", "repeat_interval")


def quick_prometheus(folder: Path, targets: dict[str, str]) -> Path:
    """The configuration file in a copy below the folder; `targets` by the name of their file."""
    shutil.copytree(DEPLOY / "prometheus", folder, dirs_exist_ok=True)
    for file in (folder / "targets").iterdir():
        addresses = [{"targets": [targets[file.stem]]}] if file.stem in targets else []
        file.write_text(yaml.safe_dump(addresses))
    for file in (folder / "rules").iterdir():
        _rewrite(file, _quicken_rules)
    config = folder / "prometheus.yml"
    _rewrite(config, _quicken_scrapes)
    return config


def quick_alertmanager(folder: Path, gate: str, humans: str, token: str) -> Path:
    """The configuration file in a copy below the folder; `humans` is a webhook that stands for their chat."""
    shutil.copytree(DEPLOY / "alertmanager", folder, dirs_exist_ok=True)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "tidegate_token").write_text(f"{token}\n")

    def adapt(config: dict[str, Any]) -> None:
        _quicken_route(config["route"])
        receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
        receivers["tidegate"]["webhook_configs"][0]["url"] = f"{gate}/alerts"
        receivers["humans"]["webhook_configs"] = [{"url": humans}]

    config = folder / "alertmanager.yml"
    _rewrite(config, adapt)
    return config


def quick(text: str) -> str:
    """A text with every duration in it made shorter."""
    text = _DURATION.sub(lambda found: f"{max(1, int(found[1]) * _MILLISECONDS[found[2]] // FASTER)}ms", text)
    return _UPTIME.sub(rf"\1 / {FASTER}", text)


def _quicken_rules(document: dict[str, Any]) -> None:
    for group in document["groups"]:
        if "interval" in group:
            group["interval"] = quick(group["interval"])
        for rule in group["rules"]:
            rule |= {name: quick(rule[name]) for name in _RULE_DURATIONS if name in rule}


def _quicken_scrapes(document: dict[str, Any]) -> None:
    names = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    document["global"] |= dict.fromkeys(names, SCRAPE_INTERVAL)


def _quicken_route(route: dict[str, Any]) -> None:
    route |= {name: quick(route[name]) for name in _ROUTE_DURATIONS if name in route}
    for child in route.get("routes", []):
        _quicken_route(child)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = yaml.safe_load(file.read_text())
    change(document)
    file.write_text(yaml.safe_dump(document, sort_keys=False, width=1000))
