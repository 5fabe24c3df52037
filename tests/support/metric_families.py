"""What `/metrics` has to hold: every delivered family with its type, its labels and its first series."""

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from app.models import WarningName
from app.settings.model import COMPARED

MAPS = ("signatures", "transactions", "observations")
REASONS = ("expired", "emergency", "manual", "capacity")
TRIGGERS = ("periodic", "emergency", "manual", "alert")
MODES = ("normal", "emergency")
RESULTS = ("success", "failure")
OUTCOMES = ("accepted", "duplicate", "invalid", "refused", "failed")
KINDS = (
    *("unreachable", "timeout", "denied", "full", "busy"),
    *("read_only", "cluster_down", "unsupported", "other_format", "older_format", "rejected", "drill"),
)
SETBACKS = ("emptied", "set_back", "keys_gone", "clock_back", "clock_ahead")
PROCESSES = ("gate", "store")
DRILLS = ("leak", "full", "pressure", "store-down")
TIERS = ("rule", "fast", "slow", "daily")
STATES = ("warmup", "ok", "suspect", "leak", "cooldown", "ineffective")
REFUSALS = (
    "memory-pressure",
    "outcome-unknown",
    "overloaded",
    "rate-limited",
    "feeds-unknown",
    "shutting-down",
    "signatures-full",
    "store-unavailable",
    "not-replicated",
)
DISCARDS = ("negative", "huge", "not_a_number", "unreadable")
SCRIPTS = (
    *("claim", "lookup", "deliverers", "late", "sizes", "cleanup", "read_blocks", "find_position"),
    *("lease_transactions", "commit_lease", "seek_consumer", "consumers", "forget_consumer"),
    *("settings", "add_history", "read_history", "lock"),
    *("claim_format_1", "lookup_format_1"),
)
TASKS = (
    *("store", "tick", "memory", "ceiling", "cleanup-signatures", "cleanup"),
    *("stats-log", "token-reload", "reports", "alerts", "reclaim", "feeds-reload", "samples"),
    *("consumers", "drill"),
)
SHAPES = (
    *("item", "helius-enhanced", "solana-transaction", "solana-block"),
    *("json-rpc", "yellowstone", "mapped"),
)
REJECTIONS = (
    *("invalid", "unknown-shape", "invalid-transaction", "malformed-body", "too-large", "unsupported-media"),
    *("unauthorized", "rate-limited"),
)
ALERT_ACTIONS = ("cleanup", "ignored", "duplicate", "cooldown", "invalid")


PYTHON = ("implementation", "major", "minor", "patchlevel", "version")


class Family(NamedTuple):
    """A type, and each label with the values known in advance (none: they come with use)."""

    kind: str
    labels: dict[str, tuple[str, ...]]


FAMILIES: dict[str, Family] = {
    "transactions": Family("counter", {"outcome": OUTCOMES}),
    "source_transactions": Family("counter", {"source": ("other",), "outcome": OUTCOMES}),
    "source_delay_seconds": Family("histogram", {"source": ("other",)}),
    "source_missed": Family("counter", {"source": ("other",)}),
    "source_near_window": Family("counter", {"source": ("other",)}),
    "source_solo": Family("counter", {"source": ("other",)}),
    "source_last_seen_timestamp_seconds": Family("gauge", {"source": ()}),
    "late_duplicates": Family("counter", {"source": ("other",)}),
    "late_duplicate_age_seconds": Family("histogram", {}),
    "recommended_window_seconds": Family("gauge", {}),
    "feed_bodies": Family("counter", {"feed": ("other",), "outcome": ("taken", "rejected")}),
    "feed_documents": Family("counter", {"feed": ("other",), "shape": SHAPES}),
    "feed_rejected": Family("counter", {"feed": ("other",), "reason": REJECTIONS}),
    "feed_skipped": Family("counter", {"feed": ("other",), "kind": ("votes", "failed")}),
    "ingest_batch_size": Family("histogram", {}),
    "ingest_flush_size": Family("histogram", {}),
    "map_entries": Family("gauge", {"map": MAPS}),
    "map_limit_entries": Family("gauge", {"map": MAPS}),
    "map_bytes": Family("gauge", {"map": MAPS}),
    "map_retention_seconds": Family("gauge", {"map": MAPS}),
    "map_oldest_entry_age_seconds": Family("gauge", {"map": MAPS}),
    "map_added": Family("counter", {"map": MAPS}),
    "map_removed": Family("counter", {"map": MAPS, "reason": REASONS}),
    "map_imbalance_entries": Family("gauge", {"map": MAPS}),
    "cleanup_runs": Family("counter", {"trigger": TRIGGERS, "mode": MODES, "result": RESULTS}),
    "cleanup_map_runs": Family("counter", {"trigger": TRIGGERS, "map": MAPS, "result": RESULTS}),
    "cleanup_map_last_success_timestamp_seconds": Family("gauge", {"map": MAPS}),
    "cleanup_duration_seconds": Family("histogram", {"mode": MODES}),
    "cleanup_last_success_timestamp_seconds": Family("gauge", {"mode": MODES}),
    "cleanup_efficiency_ratio": Family("gauge", {}),
    "map_warn_entries": Family("gauge", {"map": MAPS}),
    "map_limit_bytes": Family("gauge", {"map": ("transactions",)}),
    "setting_differs": Family("gauge", {"setting": COMPARED}),
    "unauthorized": Family("counter", {"plane": ("ingest", "admin")}),
    "ingest_refusals": Family("counter", {"reason": REFUSALS}),
    # A served gate starts its reasons, those of the HTTP protocol, at 0 (tests/unit/server/test_bounds.py).
    "connection_refusals": Family("counter", {"reason": (), "begun": ()}),
    "consumer_lag_transactions": Family("gauge", {"consumer": ()}),
    "consumer_lag_seconds": Family("gauge", {"consumer": ()}),
    "consumer_kept_seconds": Family("gauge", {"consumer": ()}),
    "consumer_idle_seconds": Family("gauge", {"consumer": ()}),
    "consumer_idle_limit_seconds": Family("gauge", {}),
    "consumer_delivered": Family("counter", {"consumer": ()}),
    "consumer_redelivered": Family("counter", {"consumer": ()}),
    "consumer_missed": Family("counter", {"consumer": ()}),
    "consumer_unknown_gaps": Family("counter", {"consumer": ()}),
    "stream_subscribers": Family("gauge", {}),
    "memory_rss_bytes": Family("gauge", {"process": PROCESSES}),
    "memory_limit_bytes": Family("gauge", {}),
    "memory_pressure_bytes": Family("gauge", {}),
    "memory_pressure_level": Family("gauge", {}),
    "memory_floor_bytes": Family("gauge", {"process": PROCESSES}),
    "memory_growth_bytes": Family("gauge", {"process": PROCESSES}),
    "memory_growth_threshold_bytes": Family("gauge", {}),
    "memory_slope_bytes_per_hour": Family("gauge", {"process": PROCESSES}),
    "memory_explained_bytes": Family("gauge", {"process": (), "part": ()}),
    "memory_released_bytes": Family("counter", {"action": ("gc", "trim", "shrink", "emergency_cleanup")}),
    "memory_samples_discarded": Family("counter", {"reason": DISCARDS}),
    "leak_suspected": Family("gauge", {"process": PROCESSES}),
    "leak_detections": Family("counter", {"process": (*PROCESSES, "drill"), "tier": TIERS}),
    "memory_allocator_held_bytes": Family("gauge", {"process": ("gate",)}),
    "memory_allocator_live_bytes": Family("gauge", {"process": ("gate",)}),
    "python_allocated_blocks": Family("gauge", {"process": ("gate",)}),
    "connections": Family("gauge", {"process": ("gate",)}),
    # A served gate knows it (tests/unit/observability/test_process_load.py).
    "max_connections": Family("gauge", {"process": ()}),
    "open_fds": Family("gauge", {"process": ("gate",)}),
    "max_fds": Family("gauge", {"process": ("gate",)}),
    "cpu_seconds": Family("counter", {"process": ("gate",)}),
    **dict.fromkeys(
        (
            *("in_flight_requests", "max_in_flight_requests", "in_flight_bytes", "max_in_flight_bytes"),
            *("queued_items", "max_queued_items", "queued_bytes", "max_queued_bytes"),
        ),
        Family("gauge", {"process": ("gate",)}),
    ),
    "warning": Family("gauge", {"warning": tuple(WarningName)}),
    # The client library's own, of the gate's process.
    **dict.fromkeys(
        (
            *("process_virtual_memory_bytes", "process_resident_memory_bytes", "process_start_time_seconds"),
            *("process_open_fds", "process_max_fds"),
        ),
        Family("gauge", {}),
    ),
    "process_cpu_seconds": Family("counter", {}),
    **dict.fromkeys(
        ("python_gc_objects_collected", "python_gc_objects_uncollectable", "python_gc_collections"),
        Family("counter", {"generation": ("0", "1", "2")}),
    ),
    "python_info": Family("gauge", dict.fromkeys(PYTHON, ())),
    "asyncio_tasks": Family("gauge", {}),
    "drill_active": Family("gauge", {"drill": DRILLS}),
    "drills": Family("counter", {"drill": DRILLS}),
    "drill_map_fill_ratio": Family("gauge", {"map": ()}),
    "guard_up": Family("gauge", {}),
    "guard_state": Family("gauge", {"process": PROCESSES, "state": STATES}),
    "guard_ineffective": Family("gauge", {"process": PROCESSES}),
    "guard_actions": Family("counter", {"process": PROCESSES, "action": ("trim",)}),
    "store_up": Family("gauge", {}),
    "store_partitions_down": Family("gauge", {}),
    "store_used_bytes": Family("gauge", {}),
    "store_limit_bytes": Family("gauge", {}),
    "store_rss_bytes": Family("gauge", {}),
    "store_may_evict": Family("gauge", {}),
    "store_fragmentation_ratio": Family("gauge", {}),
    "store_evicted_keys": Family("counter", {}),
    "store_call_duration_seconds": Family("histogram", {"script": SCRIPTS}),
    "store_errors": Family("counter", {"kind": KINDS}),
    "store_setbacks": Family("counter", {"kind": SETBACKS}),
    "store_lost_entries": Family("counter", {"map": MAPS}),
    "http_requests": Family("counter", {"method": (), "route": (), "code": ()}),
    "http_request_duration_seconds": Family("histogram", {"method": (), "route": ()}),
    "http_requests_in_flight": Family("gauge", {}),
    "alerts_received": Family("counter", {"status": ("firing",), "action": ALERT_ACTIONS}),
    "settings_changes": Family("counter", {"source": ("api", "store")}),
    "background_task_up": Family("gauge", {"task": TASKS}),
    "event_loop_lag_seconds": Family("histogram", {}),
    "start_time_seconds": Family("gauge", {}),
    "build_info": Family("gauge", {"version": ()}),
}
# Of these the value is known from the first scrape on.
STARTED_AT_ZERO = (
    *("transactions", "source_transactions", "map_added", "map_removed", "cleanup_runs", "store_errors"),
    *("map_entries", "map_bytes", "map_oldest_entry_age_seconds", "ingest_batch_size", "ingest_flush_size"),
    *("alerts_received", "source_delay_seconds", "ingest_refusals", "unauthorized"),
    *("feed_bodies", "feed_documents", "feed_rejected", "feed_skipped"),
    *("store_setbacks", "store_lost_entries", "map_imbalance_entries"),
)


def parsed(text: str) -> dict[str, tuple[str, list[Sample]]]:
    """Type and samples of each family, by its name without the prefix."""
    families = text_string_to_metric_families(text)
    return {f.name.removeprefix("tidegate_"): (f.type, list(f.samples)) for f in families}


def label_sets(family: Family) -> Iterator[dict[str, str]]:
    """Every label set known in advance."""
    for values in product(*family.labels.values()):
        yield dict(zip(family.labels, values, strict=True))


def value(text: str, name: str, **labels: str) -> float | None:
    """The value of one series, None when there is none; `name` with its suffix, without the prefix."""
    for _, samples in parsed(text).values():
        for sample in samples:
            if (sample.name, sample.labels) == (f"tidegate_{name}", labels):
                return sample.value
    return None
