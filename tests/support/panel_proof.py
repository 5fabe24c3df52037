"""What the panel proof needs: a Prometheus with its own intervals, load, and the answers to queries."""

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.support.dashboards import Query, filled
from tests.support.gate import GateProcess
from tests.support.monitoring import Prometheus, prometheus
from tests.support.quick_monitoring import quick_prometheus

SCRAPE_SECONDS = 1
FEEDS = ("helius-a", "quicknode-b", "grpc-c")
# Turns of 0.1 s and more after which a feed sends again: later than a window of a second.
LATER = 20
PAYLOAD = {"memo": "x" * 200}
Points = list[tuple[dict[str, str], float, float]]


@contextmanager
def monitored(folder: Path, gate: GateProcess, *, rules: bool) -> Iterator[Prometheus]:
    """A Prometheus that scrapes the gate every second; with the shipped rules in short time, or none."""
    with prometheus(_config(folder / "prometheus", gate.url, rules=rules)) as server:
        yield server


def _config(folder: Path, gate_url: str, *, rules: bool) -> Path:
    file = quick_prometheus(folder, {"tidegate": [gate_url.removeprefix("http://")]})
    document = yaml.load(file.read_text(), yaml.CSafeLoader)
    names = ("scrape_interval", "scrape_timeout", "evaluation_interval")
    document["global"] |= dict.fromkeys(names, f"{SCRAPE_SECONDS}s")
    if not rules:
        document["rule_files"] = []
    file.write_text(yaml.dump(document, Dumper=yaml.CSafeDumper))
    return file


@contextmanager
def load(gate: GateProcess) -> Iterator[None]:
    """Feeds that deliver the same, and consumers, while the block runs, whatever the gate answers."""
    ended = threading.Event()
    threads = [threading.Thread(target=target, args=(gate, ended)) for target in (_feed, _consume)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def _feed(gate: GateProcess, ended: threading.Event) -> None:
    with gate.client() as client:
        number = 0
        while not ended.wait(0.1):
            number += 1
            for place in range(len(FEEDS)):
                _deliver(client, FEEDS[(number + place) % len(FEEDS)], _items(number))
            if number > LATER and number % 5 == 0:
                _deliver(client, FEEDS[0], _items(number - LATER))


def _consume(gate: GateProcess, ended: threading.Event) -> None:
    """`steady` takes all there is, `slow` so little that it misses the rest, `forgetful` commits nothing."""
    with gate.client() as client:
        while not ended.wait(0.2):
            for name, limit in (("steady", 10_000), ("slow", 1)):
                leased = _call(client, f"/consumers/{name}/lease?limit={limit}")
                if leased.get("lease"):
                    _call(client, f"/consumers/{name}/commit", lease=leased["lease"])
            _call(client, "/consumers/forgetful/lease?limit=1&lease_seconds=1")


def _call(client: httpx.Client, path: str, **body: object) -> dict[str, Any]:
    try:
        answer: dict[str, Any] = client.post(path, json=body or None).json()
    except (httpx.HTTPError, ValueError):
        return {}
    return answer


def _items(number: int) -> list[dict[str, object]]:
    return [{"signature": f"load-{number}-{at}", "payload": PAYLOAD} for at in range(50)]


def _deliver(client: httpx.Client, source: str, items: list[dict[str, object]]) -> None:
    try:
        client.post("/transactions", params={"source": source}, json=items)
    except httpx.HTTPError:
        return


def answers(
    server: Prometheus,
    query: Query,
    since: float,
    until: float | None = None,
    rate_seconds: int = 4 * SCRAPE_SECONDS,
) -> Points:
    """The points of a query, to now or an earlier end: labels, time, value; not those that are no number."""
    now = until or time.time()
    text = filled(query.expression, variables(now - since) | {"__rate_interval": f"{rate_seconds}s"})
    return [
        (series["metric"], float(at), float(value))
        for series in server.query_range(text, since, now, SCRAPE_SECONDS)
        for at, value in series["values"]
        if not math.isnan(float(value))
    ]


def variables(seconds: float) -> dict[str, str]:
    """Return the variables as Grafana fills them in: everything chosen, a rate over four scrapes."""
    every = dict.fromkeys(("job", "instance", "process", "source"), ".+") | {"namespace": ".*"}
    whole = str(max(1, round(seconds)))  # Prometheus refuses a range of 0s, as of a gate half a second old
    spans = {"__rate_interval": f"{4 * SCRAPE_SECONDS}s", "__range": f"{whole}s", "__range_s": whole}
    return every | spans | {"ago": "5s"}
