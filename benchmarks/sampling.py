"""Memory of a service and what explains it, every few seconds."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.services import Service
from tests.faults.wire import NoAnswerError, ask_once

SAMPLE_SECONDS = 5.0

Figures = dict[str, float]


@dataclass
class Recorder:
    """Samples one service; with a file each sample is also written there at once, one JSON object a line."""

    service: Service
    file: Path | None = None
    has_stats: bool = True
    samples: list[Figures] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)

    def series(self, name: str, after_seconds: float = 0.0) -> list[tuple[float, float]]:
        """Seconds since the start and one figure, where it was read."""
        return [
            (sample["seconds"], sample[name])
            for sample in self.samples
            if name in sample and sample["seconds"] >= after_seconds
        ]

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
        number = 0
        while True:
            await self.sample()
            number += 1
            await asyncio.sleep(max(0.0, self._started + number * SAMPLE_SECONDS - time.monotonic()))

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


async def _figures(url: str) -> Figures:
    stats: dict[str, Any] = (await ask_once(url, "GET", "/stats")).json()
    memory: dict[str, Any] = (await ask_once(url, "GET", "/memory")).json()
    figures: Figures = {f"{name}_entries": one["entries"] for name, one in stats["maps"].items()}
    figures |= {f"{name}_bytes": one["bytes"] for name, one in stats["maps"].items() if "bytes" in one}
    store = memory["store"] or {}
    names = ("used_bytes", "rss_bytes", "fragmentation_ratio")
    return figures | {f"store_info_{name}": store[name] for name in names if name in store}
