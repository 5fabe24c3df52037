"""Memory of a service and what explains it, every few seconds."""

import random
import time
from collections import Counter
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.common.background import repeated
from benchmarks.common.gates import Service

SAMPLE_SECONDS = 5.0
# Of a running gate: 37.6 MB in 390,000 blocks.
BYTES_A_BLOCK = 96
# Bytes of a unit of each metric that is counted as live.
LIVE = {"tidegate_memory_allocator_live_bytes": 1, "tidegate_python_allocated_blocks": BYTES_A_BLOCK}

Figures = dict[str, float]


@dataclass
class Recorder:
    """Samples one service."""

    service: Service
    has_stats: bool = True
    samples: list[Figures] = field(default_factory=list)
    _started: float = field(default_factory=time.monotonic)
    _draw: random.Random = field(default_factory=lambda: random.Random(1))

    def running(self) -> AbstractContextManager[None]:
        """Sample while a block runs."""
        # At uneven times: in step with the buckets, all samples would show one end of their sawtooth.
        return repeated(self.sample, lambda: SAMPLE_SECONDS * self._draw.uniform(0.8, 1.2))

    def sample(self) -> None:
        """Take one sample."""
        figures: Figures = {"seconds": round(time.monotonic() - self._started, 3)}
        figures |= {f"{name}_rss_bytes": rss for name, rss in self.service.resident().items()}
        if self.has_stats:
            with suppress(httpx.HTTPError):
                figures |= _figures(self.service)
        self.samples.append(figures)


def live_bytes(metrics: str) -> Figures:
    """The bytes that each process's program holds, by its own count: `gate_live_bytes` and so on.

    Counted are what malloc has handed out, and CPython's own blocks at their average size. Resident bytes
    move in steps when an allocator takes or returns pages; these do not, so a slope shows sooner.
    """
    held: Counter[str] = Counter()
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples:
            if sample.name in LIVE:
                held[f"{sample.labels['process']}_live_bytes"] += round(sample.value * LIVE[sample.name])
    return dict(held)


def _figures(service: Service) -> Figures:
    stats, memory = service.get("/stats"), service.get("/memory")
    with service.client() as client:
        metrics = client.get("/metrics").text
    store, maps = memory["store"] or {}, stats["maps"].items()
    return {
        **live_bytes(metrics),
        **{f"{name}_{figure}": one[figure] for name, one in maps for figure in ("entries", "bytes")},
        "accepted": stats["ingest"]["accepted"],
        **{f"store_info_{name}": store[name] for name in ("used_bytes", "rss_bytes") if name in store},
    }
