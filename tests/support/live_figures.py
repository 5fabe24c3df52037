"""A document of `GET /page/figures`, for tests of what is made of it."""

import copy
from typing import Any

_MAP = {
    "entries": 1000,
    "limit_entries": 1_000_000,
    "bytes": 2048,
    "limit_bytes": None,
    "retention_seconds": 120.0,
    "oldest_age_seconds": 60.0,
    "added_total": 1500,
    "removed_total": {"expired": 500, "emergency": 0, "manual": 0, "capacity": 0},
}
_REPORT = {
    "trigger": "manual",
    "mode": "emergency",
    "dry_run": True,
    "started_ms": 1_796_000_000_000,
    "duration_seconds": 0.0125,
    "maps": {"transactions": {"before": 1500, "removed": 500, "after": 1000}},
    "memory": {"before_bytes": 0, "after_bytes": 0, "released_bytes": 2048},
}
_FIGURES = {
    "taken_ms": 1_796_000_001_000,
    "state": "ready",
    "reasons": [],
    "warnings": [],
    "stats": {
        "version": "1.2.3",
        "uptime_seconds": 7500.0,
        "maps": dict.fromkeys(("signatures", "transactions", "observations"), _MAP),
        "ingest": {"accepted": 1500, "duplicate": 3000, "invalid": 1, "refused": 2, "failed": 3},
        "memory": {
            "processes": [{"name": "gate", "pid": 1, "rss_bytes": 52_428_800}],
            "limit_bytes": 8_381_411_328,
            "limit_source": "machine",
            "level": "normal",
            "growth_bytes": 0,
            "growth_threshold_bytes": 52_428_800,
            "leak": {"state": "ok"},
        },
        "cleanup": {"efficiency_ratio": 1.0, "last": None},
        "warnings": [],
    },
    "rates": {"accepted": 100.0, "duplicate": 200.0, "not_taken": 0.5},
    "duplicate_share": 2 / 3,
    "past_rates": [
        {"age_seconds": 30.0, "accepted": 50.0, "duplicate": 100.0, "not_taken": 0.0},
        {"age_seconds": 0.0, "accepted": 100.0, "duplicate": 200.0, "not_taken": 1.0},
    ],
    "past_memory": [{"age_seconds": 5.0, "rss_bytes": {"gate": 52_428_800}}],
    "processes": [
        {
            "name": "gate",
            "rss_bytes": 52_428_800,
            "growth_bytes": 1024,
            "slope_bytes_per_hour": 0.0,
            "state": "ok",
        }
    ],
    "store": None,
    "sources": [
        {
            "source": "helius-a",
            "accepted": 1500,
            "duplicate": 10,
            "first_share": 0.9,
            "delay_ms": {"p50": 12.5, "p95": 30.0, "p99": 40.0},
            "late": None,
            "missed": {"count": 1, "share": 0.25},
            "solo": None,
            "highest_slot": None,
            "last_seen_ms": 1_796_000_000_000,
            "silent_since_ms": None,
            "per_second": 150.0,
        }
    ],
    "source_count": 1,
    "consumers": [
        {
            "name": "bot",
            "lag_transactions": 20,
            "lag_seconds": 1.5,
            "leases": 1,
            "delivered": 1480,
            "redelivered": 0,
            "missed": 7,
            "called_ms": 1_796_000_000_000,
        }
    ],
    "consumer_count": 1,
    "cleanups": [_REPORT],
    "needs_admin_token": True,
}


def live_figures(**changes: Any) -> dict[str, Any]:
    """Return the document with some of its members changed."""
    return copy.deepcopy(_FIGURES) | changes
