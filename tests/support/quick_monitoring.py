"""Prometheus and Alertmanager as they are shipped, with the addresses of a test and faster time.

Every duration is divided, also those inside of PromQL. Plain numbers of seconds, as in `> 300`, are left as
they are, except for the age of gates.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.support.monitoring import Alertmanager, Prometheus, alertmanager, prometheus
from tests.support.processes import free_port

DEPLOY = Path(__file__).parents[2] / "deploy"
# Two minutes of the shipped rules are one second then.
FASTER = 120
LEAST_SCRAPE_MS = 250
_SHIPPED_SCRAPE_MS = 15_000

_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
_DURATION = re.compile(r"(?<![\w.])(\d+)(ms|s|m|h|d)\b")
_UPTIME = re.compile(r"(tidegate_start_time_seconds > [\d* ]*\d)")
_RULE_DURATIONS = ("expr", "for", "keep_firing_for")
_ROUTE_DURATIONS = ("group_wait", "group_interval", "repeat_interval")


@contextmanager
def quick_monitoring(
    folder: Path, gates: Sequence[str], people: Mapping[str, str], token: str, faster: int = FASTER
) -> Iterator[tuple[Prometheus, Alertmanager]]:
    """Both at work, with their files below the folder: they watch one another and the gates at these URLs.

    Alertmanager tells the first gate, to which it shows the token, and the people, webhooks by receivers.
    """
    ports = {name: free_port() for name in ("prometheus", "alertmanager")}
    targets = {name: [f"127.0.0.1:{port}"] for name, port in ports.items()}
    targets["tidegate"] = [url.removeprefix("http://") for url in gates]
    scrapes = quick_prometheus(folder / "prometheus", targets, faster)
    routes = quick_alertmanager(folder / "alertmanager", gates[0], people, token, faster)
    with (
        prometheus(scrapes, port=ports["prometheus"]) as watching,
        alertmanager(routes, port=ports["alertmanager"]) as telling,
    ):
        yield watching, telling


def quick_prometheus(folder: Path, targets: Mapping[str, Sequence[str]], faster: int = FASTER) -> Path:
    """The configuration file in a copy below the folder; `targets` by the name of their file."""
    shutil.copytree(DEPLOY / "prometheus", folder, dirs_exist_ok=True)
    for file in (folder / "targets").iterdir():
        addresses = [{"targets": list(targets[file.stem])}] if file.stem in targets else []
        file.write_text(yaml.dump(addresses, Dumper=yaml.CSafeDumper))
    for file in (folder / "rules").iterdir():
        _rewrite(file, lambda document: _quicken_rules(document, faster))
    config = folder / "prometheus.yml"
    _rewrite(config, lambda document: _quicken_scrapes(document, faster))
    return config


def quick_alertmanager(
    folder: Path, gate: str, people: Mapping[str, str], token: str, faster: int = FASTER
) -> Path:
    """The configuration file in a copy below the folder; `people` are webhooks by the names of receivers."""
    shutil.copytree(DEPLOY / "alertmanager", folder, dirs_exist_ok=True)
    (folder / "secrets").mkdir()
    (folder / "secrets" / "tidegate_token").write_text(f"{token}\n")

    def adapt(config: dict[str, Any]) -> None:
        _quicken_route(config["route"], faster)
        receivers = {receiver["name"]: receiver for receiver in config["receivers"]}
        receivers["tidegate"]["webhook_configs"][0]["url"] = f"{gate}/alerts"
        for name, url in people.items():
            receivers[name]["webhook_configs"] = [{"url": url}]

    config = folder / "alertmanager.yml"
    _rewrite(config, adapt)
    return config


def quick(text: str, faster: int = FASTER) -> str:
    """A text with every duration in it made shorter."""
    if faster == 1:
        return text
    text = _DURATION.sub(lambda found: f"{max(1, int(found[1]) * _MILLISECONDS[found[2]] // faster)}ms", text)
    return _UPTIME.sub(rf"\1 / {faster}", text)


def _quicken_rules(document: dict[str, Any], faster: int) -> None:
    for group in document["groups"]:
        if "interval" in group:
            group["interval"] = quick(group["interval"], faster)
        for rule in group["rules"]:
            rule |= {name: quick(rule[name], faster) for name in _RULE_DURATIONS if name in rule}


def _quicken_scrapes(document: dict[str, Any], faster: int) -> None:
    if faster == 1:
        return
    interval = f"{max(LEAST_SCRAPE_MS, _SHIPPED_SCRAPE_MS // faster)}ms"
    document["global"] |= dict.fromkeys(
        ("scrape_interval", "scrape_timeout", "evaluation_interval"), interval
    )


def _quicken_route(route: dict[str, Any], faster: int) -> None:
    route |= {name: quick(route[name], faster) for name in _ROUTE_DURATIONS if name in route}
    for child in route.get("routes", []):
        _quicken_route(child, faster)


def _rewrite(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    document = yaml.load(file.read_text(), yaml.CSafeLoader)
    change(document)
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000))
