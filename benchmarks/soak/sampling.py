"""Memory of a gate and what explains it."""

from collections import Counter
from contextlib import suppress

import httpx
from prometheus_client.parser import text_string_to_metric_families

from benchmarks.common.gates import Service

# Of a running gate: 37.6 MB in 390,000 blocks.
BYTES_A_BLOCK = 96
# Bytes of a unit of each metric that is counted as live.
LIVE = {"tidegate_memory_allocator_live_bytes": 1, "tidegate_python_allocated_blocks": BYTES_A_BLOCK}

Figures = dict[str, float]


def figures_of(gate: Service) -> Figures:
    """Resident bytes of gate and store; and, if it answers, what maps and program hold, and `accepted`."""
    figures: Figures = {f"{name}_rss_bytes": resident for name, resident in gate.resident().items()}
    with suppress(httpx.HTTPError):
        stats, store = gate.get("/stats"), gate.get("/memory")["store"] or {}
        figures |= live_bytes(gate.text("/metrics")) | {"accepted": stats["ingest"]["accepted"]}
        for name, one in stats["maps"].items():
            figures |= {f"{name}_{figure}": one[figure] for figure in ("entries", "bytes")}
        figures |= {
            f"store_info_{name}": store[name] for name in ("used_bytes", "rss_bytes") if name in store
        }
    return figures


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
