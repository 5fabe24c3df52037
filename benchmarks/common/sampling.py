"""Memory of a service and what explains it, every few seconds."""

import asyncio
import json
import random
import re
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common.gates import Service
from tests.support.wire import NoAnswerError, ask_once

SAMPLE_SECONDS = 5.0
# Of a running gate: 37.6 MB in 390,000 blocks.
BYTES_A_BLOCK = 96
_LIVE = re.compile(
    r"tidegate_(?P<family>memory_allocator_live_bytes|python_allocated_blocks)"
    r'\{process="(?P<process>[^"]+)"\} (?P<value>\S+)'
)

Figures = dict[str, float]


@dataclass
class Recorder:
    """Samples one service; with a file each sample is also written there at once, one JSON object a line."""

    service: Service
    file: Path | None = None
    has_stats: bool = True
    samples: list[Figures] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _draw: random.Random = field(default_factory=lambda: random.Random(1))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Sample while the block runs."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _run(self) -> None:
        """At uneven times: in step with the buckets, all samples would show one end of their sawtooth."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_SECONDS * self._draw.uniform(0.8, 1.2))

    async def sample(self) -> None:
        """Take one sample."""
        figures: Figures = {"seconds": round(time.monotonic() - self._started, 3)}
        figures |= {f"{name}_rss_bytes": rss for name, rss in self.service.resident().items()}
        if self.has_stats:
            with suppress(NoAnswerError, TimeoutError):
                figures |= await _figures(self.service.url)
        self.samples.append(figures)
        if self.file:
            with self.file.open("a") as lines:
                lines.write(json.dumps(figures) + "\n")


def live_bytes(metrics: str) -> Figures:
    """Of each process, the bytes its program holds, by its own count: `gate_live_bytes` and so on.

    That is what malloc has handed out, and CPython's own blocks at their average size. Resident bytes move in
    steps when an allocator takes or returns pages; these do not, so a slope shows sooner.
    """
    held: Counter[str] = Counter()
    for line in metrics.splitlines():
        found = _LIVE.match(line)
        if found:
            of_a_unit = BYTES_A_BLOCK if found["family"] == "python_allocated_blocks" else 1
            held[f"{found['process']}_live_bytes"] += round(float(found["value"]) * of_a_unit)
    return dict(held)


async def _figures(url: str) -> Figures:
    stats: dict[str, Any] = (await ask_once(url, "GET", "/stats")).json()
    memory: dict[str, Any] = (await ask_once(url, "GET", "/memory")).json()
    metrics = (await ask_once(url, "GET", "/metrics")).body.decode()
    store = memory["store"] or {}
    return {
        **live_bytes(metrics),
        **{f"{name}_entries": one["entries"] for name, one in stats["maps"].items()},
        **{f"{name}_bytes": one["bytes"] for name, one in stats["maps"].items()},
        "accepted": stats["ingest"]["accepted"],
        **{f"store_info_{name}": store[name] for name in ("used_bytes", "rss_bytes") if name in store},
    }
