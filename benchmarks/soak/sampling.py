"""Memory of a gate and what explains it."""

from collections import Counter
from contextlib import suppress

import httpx

from benchmarks.common.gates import Service
from tests.support.worker_gates import figures as samples_of

# Of a running gate: 37.6 MB in 390,000 blocks.
BYTES_A_BLOCK = 96
# Bytes of a unit of each metric that is counted as live.
LIVE = {"tidegate_memory_allocator_live_bytes": 1, "tidegate_python_allocated_blocks": BYTES_A_BLOCK}

Figures = dict[str, float]


def figures_of(gate: Service) -> Figures:
    """Resident bytes of gate and store, what maps and program hold, and `accepted`.

    What cannot be read is left out: a gate that does not answer, a `/proc` that is not there for a moment.
    """
    figures: Figures = {}
    with suppress(httpx.HTTPError, OSError):
        figures |= {f"{name}_rss_bytes": resident for name, resident in gate.resident().items()}
        stats, store = gate.get("/stats"), gate.get("/memory")["store"] or {}
        figures |= live_bytes(gate) | {"accepted": stats["ingest"]["accepted"]}
        for name, one in stats["maps"].items():
            figures |= {f"{name}_{figure}": one[figure] for figure in ("entries", "bytes")}
        figures |= {f"store_info_{one}": store[one] for one in ("used_bytes", "rss_bytes") if one in store}
    return figures


def live_bytes(gate: Service) -> Figures:
    """The bytes that each process's program holds, by its own count: `gate_live_bytes` and so on.

    Counted are what malloc has handed out, and CPython's own blocks at their average size. Resident bytes
    move in steps when an allocator takes or returns pages; these do not, so a slope shows sooner.
    """
    held: Counter[str] = Counter()
    for (name, labels), value in samples_of(gate).items():
        if name in LIVE:
            held[f"{dict(labels)['process']}_live_bytes"] += round(value * LIVE[name])
    return dict(held)
