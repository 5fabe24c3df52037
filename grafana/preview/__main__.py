"""Draw what the Overview shows before, during and after an emergency cleanup.

A real gate under a constant load of three feeds, with a client of its stream and two consumers, of which one
calls now and then, and a real Prometheus; then a burst of large transactions takes memory past the soft
limit, upon which the gate cleans up by itself. The pictures are drawn from
Prometheus' answers to the panels' queries; they are previews of the data, not of Grafana.

`--rate` transactions a second come from each of the three feeds. Seconds are `--fill`, until the maps are
full, and then `--before`, `--burst` and `--after`.

    python -m grafana.preview
"""

import argparse
import asyncio
import base64
import dataclasses
import math
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from benchmarks.common.constant_rate import posting, three_feeds
from benchmarks.common.results import options_of
from grafana.preview.sheet import Series, Sheet, draw
from tests.support.dashboards import FOLDER, Query, read
from tests.support.gate import gate_program
from tests.support.monitoring import Prometheus
from tests.support.panel_proof import answers, monitored

MIB = 2**20
IMAGES = Path(__file__).parents[2] / "docs" / "images"
WHOLE = "overview-data-preview-whole.png"
TOP = "overview-data-preview.png"
TITLE = (
    "Tidegate, Overview: what its panels show before, during and after an emergency cleanup\n"
    "A preview of the data, drawn from a live Prometheus; not a picture of Grafana.   "
    "Grey: a burst.   Dotted: emergency cleanups."
)
LARGE_BYTES, LARGE_RATE, BATCH_ITEMS = 12_000, 220, 20
# Figures of consumers are read every 5 seconds.
RATE_SECONDS = 10
# Of each the seconds after it has taken all there is.
CONSUMERS = {"bot": 0.1, "archive": 15.0}
# Annotations closer than this are of one cleanup.
SAME_SECONDS = 5
# The rows that the picture of the README ends before.
TOP_ENDS = "Cleanup"
SETTINGS = {
    "memory_sample_seconds": 1,
    "leak_warmup_seconds": 60,
    "transaction_retention_seconds": 60,
    "observation_retention_seconds": 60,
    "emergency_transaction_retention_seconds": 8,
    "emergency_observation_retention_seconds": 8,
    "cleanup_interval_seconds": 10,
}


@dataclass(frozen=True)
class Times:
    """When the picture begins, the burst, the quiet after it, and when the picture ends; since the epoch."""

    begins: float
    burst: float
    calm: float
    ends: float


async def _play(url: str, arguments: argparse.Namespace) -> Times:
    """Load, burst, load."""
    with posting(url, three_feeds(arguments.rate)), _reading(url):
        await asyncio.sleep(arguments.fill)
        begins = time.time()
        await asyncio.sleep(arguments.before)
        burst = time.time()
        await _burst(url, burst + arguments.burst)
        calm = time.time()
        await asyncio.sleep(arguments.after)
        return Times(begins, burst, calm, time.time())


@contextmanager
def _reading(url: str) -> Iterator[None]:
    """Have the stream read and all transactions consumed while the block runs."""
    tasks = [
        asyncio.create_task(_stream(url)),
        *(asyncio.create_task(_consume(url, name, pause)) for name, pause in CONSUMERS.items()),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def _stream(url: str) -> None:
    async with _client(url) as client, client.stream("GET", "/stream") as response:
        async for _ in response.aiter_bytes():
            pass


async def _consume(url: str, name: str, pause_seconds: float) -> None:
    async with _client(url) as client:
        while True:
            given = await client.post(f"/consumers/{name}/lease", params={"limit": 10_000})
            if (lease := given.json().get("lease")) is not None:
                await client.post(f"/consumers/{name}/commit", json={"lease": lease})
            else:
                await asyncio.sleep(pause_seconds)


def _client(url: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, trust_env=False, timeout=30)


async def _burst(url: str, until: float) -> None:
    """Transactions that hardly compress, some two hundred a second."""
    async with _client(url) as client:
        while time.time() < until:
            payloads = (base64.b64encode(os.urandom(LARGE_BYTES)).decode() for _ in range(BATCH_ITEMS))
            items = [{"signature": uuid4().hex, "payload": payload} for payload in payloads]
            await client.post("/transactions", params={"source": "backfill"}, json=items)
            await asyncio.sleep(BATCH_ITEMS / LARGE_RATE)


def _label(labels: dict[str, str], found: re.Match[str]) -> str:
    return labels.get(found[1], found[0])


def _series(server: Prometheus, target: dict[str, Any], times: Times) -> list[Series]:
    found: dict[str, Series] = {}
    query = Query("overview", "", target["expr"], target["legendFormat"])
    for labels, at, value in answers(server, query, times.begins, times.ends, RATE_SECONDS):
        name = re.sub(r"{{(\w+)}}", partial(_label, labels), query.legend)
        found.setdefault(name, Series(name, [])).points.append((at - times.begins, value))
    return list(found.values())


def _cleanups(server: Prometheus, board: dict[str, Any], times: Times) -> list[float]:
    """When emergency cleanups began, by the dashboard's own annotation; seconds from the picture's begin."""
    [annotation] = [one for one in board["annotations"]["list"] if one["name"] == "Cleanups"]
    query = Query("annotation", "Cleanups", annotation["expr"], "")
    seen = sorted({at - times.begins for _, at, _ in answers(server, query, times.begins, times.ends)})
    return [at for before, at in pairwise([-math.inf, *seen]) if at - before > SAME_SECONDS]


def _sheet(server: Prometheus, times: Times) -> Sheet:
    board = read(FOLDER / "overview.json")
    panels = [
        (panel, [one for target in panel.get("targets", []) for one in _series(server, target, times)])
        for panel in board["panels"]
    ]
    marks = _cleanups(server, board, times)
    if not marks:
        raise SystemExit("The burst did not lead to an emergency cleanup: lower --limit-mib.")
    burst, calm, ends = (at - times.begins for at in (times.burst, times.calm, times.ends))
    moments = {"before": burst - 2, "during": marks[0] - 1, "after": ends - 1}
    return Sheet(TITLE, panels, moments, (burst, calm), marks)


def _top(sheet: Sheet) -> Sheet:
    """The first rows alone."""
    ends = next(p["gridPos"]["y"] for p, _ in sheet.panels if p["title"] == TOP_ENDS and p["type"] == "row")
    panels = [(panel, series) for panel, series in sheet.panels if panel["gridPos"]["y"] < ends]
    return dataclasses.replace(sheet, panels=panels)


def main() -> None:
    """Run, and write the two pictures."""
    parser = options_of(__doc__, rate=200.0, fill=75.0, before=45.0, burst=16.0, after=75.0, limit_mib=150)
    parser.add_argument("--folder", type=Path, default=IMAGES)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        gate_program(memory_limit_bytes=arguments.limit_mib * MIB, **SETTINGS) as gate,
        monitored(Path(folder), gate, rules=False) as server,
    ):
        times = asyncio.run(_play(gate.url, arguments))
        sheet = _sheet(server, times)
        draw(sheet, arguments.folder / WHOLE)
        draw(_top(sheet), arguments.folder / TOP)


if __name__ == "__main__":
    main()
