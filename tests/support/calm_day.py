"""A day of three gates on one store, minute by minute, as Prometheus would have scraped it.

Three feeds deliver the same transactions, at night fewer than by day, in four bursts eight times as many. Two
updates restart the gates one after another, one gate restarts by itself, and once all restart together, while
a feed pauses. With `outage` the store is down for all gates in these minutes. It is a day without anything
wrong otherwise: a client sends what is invalid once a minute, another tries a wrong token now and then, feeds
pause for a few minutes, and one consumer restarts.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

MINUTES = 24 * 60
MIB = 1024 * 1024
BURSTS = tuple(range(start, start + 5) for start in (90, 411, 777, 1203))
GATES = ("gate-1:8000", "gate-2:8000", "gate-3:8000")
# The minute in which each gate does not answer, and the version that it has from then on.
RESTARTS: dict[str, dict[int, str]] = {
    "gate-1:8000": {600: "1.1", 1000: "1.2", 1300: "1.2"},
    "gate-2:8000": {300: "1.0", 604: "1.1", 1004: "1.2", 1300: "1.2"},
    "gate-3:8000": {608: "1.1", 1008: "1.2", 1300: "1.2"},
}
SOURCES = ("a", "b", "c")
PAUSES = {"b": range(1298, 1303), "c": range(500, 504)}
MAPS = ("signatures", "transactions", "observations")
RETENTION = {"signatures": 5, "transactions": 120, "observations": 120}
LIMITS = {"signatures": 1_000_000, "transactions": 1_000_000, "observations": 3_000_000}
WORKERS = {"gate-3:8000": ("worker-1", "worker-2")}
LATENCY = ((0.005, 0.7), (0.05, 0.995), (0.5, 0.999), (1.0, 1.0), (math.inf, 1.0))
LAG = ((0.01, 0.95), (0.1, 0.998), (0.25, 1.0), (math.inf, 1.0))

Figure = Callable[[int], float]
Values = list[float | None]


@dataclass
class Day:
    """The series of the day, by their names with labels."""

    outage: range = range(0)

    def series(self) -> dict[str, Values]:
        """Return the value of each series at each minute; None where it is not scraped."""
        found: dict[str, Values] = {}
        for gate in GATES:
            found |= {_named(name, gate): values for name, values in self._gate(gate)}
        return found

    def _gate(self, gate: str) -> Iterator[tuple[str, Values]]:
        yield "up", [0.0 if minute in RESTARTS[gate] else 1.0 for minute in range(MINUTES + 1)]
        for name, figure in (*self._traffic(gate), *self._upkeep()):
            yield name, _counted(gate, figure)
        for name, figure in (*self._store(), *_maps(), *_process(gate), *_consumers()):
            yield name, _read(gate, figure)
        for source in SOURCES:
            seen = f'tidegate_source_last_seen_timestamp_seconds{{source="{source}"}}'
            yield seen, self._last_seen(gate, source)
        for version in ("1.0", "1.1", "1.2"):
            one = _read(gate, lambda _: 1.0)
            runs = (_version(gate, minute) == version for minute in range(MINUTES + 1))
            yield (
                f'tidegate_build_info{{version="{version}"}}',
                [v if r else None for v, r in zip(one, runs, strict=True)],
            )

    def _is_down(self, minute: int) -> bool:
        return minute in self.outage

    def _taken(self, minute: int) -> float:
        return 0.0 if self._is_down(minute) else _items(minute)

    def _refused(self, minute: int) -> float:
        return _items(minute) if self._is_down(minute) else 0.0

    def _traffic(self, gate: str) -> Iterator[tuple[str, Figure]]:
        outcomes: dict[str, Figure] = {
            "accepted": lambda minute: self._taken(minute) / 3,
            "duplicate": lambda minute: self._taken(minute) * 2 / 3,
            "invalid": lambda _: 1.0,
            "failed": self._refused,
            "refused": lambda minute: 1.0 if minute in RESTARTS[gate] else 0.0,
        }
        for outcome, figure in outcomes.items():
            yield f'tidegate_transactions_total{{outcome="{outcome}"}}', figure
            for source in SOURCES:
                labels = f'source="{source}", outcome="{outcome}"'
                yield f"tidegate_source_transactions_total{{{labels}}}", _share(figure, 1 / 3)
        posts = 'method="POST", route="/transactions"'
        answers: dict[str, Figure] = {
            "200": lambda minute: self._taken(minute) / 20,
            "422": lambda _: 1.0,
            "401": lambda minute: float(minute % 7 == 0),
            "503": lambda minute: self._refused(minute) / 20 + (minute % 60 == 0),
        }
        for code, figure in answers.items():
            yield f'tidegate_http_requests_total{{{posts}, code="{code}"}}', figure
        for feed in ("other", *SOURCES):
            rejected = f'tidegate_feed_rejected_total{{feed="{feed}", reason="unauthorized"}}'
            yield rejected, _share(answers["401"], 0.25 if feed == "other" else 0.0)
        yield 'tidegate_ingest_refusals_total{reason="signatures-full"}', lambda _: 0.0
        duration = "tidegate_http_request_duration_seconds_bucket"
        yield from _buckets(duration, posts, LATENCY, lambda minute: _items(minute) / 20)
        for source in SOURCES:
            labels = f'source="{source}"'
            late = _share(outcomes["duplicate"], 1 / 3)
            yield f"tidegate_source_delay_seconds_count{{{labels}}}", late
            yield f"tidegate_source_near_window_total{{{labels}}}", _share(late, 0.004)
            yield f"tidegate_late_duplicates_total{{{labels}}}", lambda _: 0.5
            for outcome, part in (("taken", 0.99), ("rejected", 0.01)):
                bodies = f'tidegate_feed_bodies_total{{feed="{source}", outcome="{outcome}"}}'
                yield bodies, _share(answers["200"], part / 3)

    def _upkeep(self) -> Iterator[tuple[str, Figure]]:
        for name in MAPS:
            runs, label = "tidegate_cleanup_map_runs_total", f'trigger="periodic", map="{name}"'
            yield f'{runs}{{{label}, result="failure"}}', lambda minute: 2.0 * self._is_down(minute)
            yield f'{runs}{{{label}, result="success"}}', lambda minute: 2.0 * (not self._is_down(minute))
        emergency = 'trigger="emergency", mode="emergency", result="success"'
        # The guard of an embedded store would run some in each burst.
        yield f"tidegate_cleanup_runs_total{{{emergency}}}", lambda minute: 2.0 * _is_burst(minute)
        yield 'tidegate_store_errors_total{kind="full"}', lambda _: 0.0
        yield 'tidegate_store_setbacks_total{kind="emptied"}', lambda _: 0.0
        yield "tidegate_store_evicted_keys_total", lambda _: 0.0
        yield 'tidegate_leak_detections_total{process="gate", tier="fast"}', lambda _: 0.0
        yield "tidegate_worker_restarts_total", lambda minute: float(minute == 700)
        yield from _buckets("tidegate_event_loop_lag_seconds_bucket", "", LAG, lambda _: 600.0)
        yield 'tidegate_cpu_seconds_total{process="gate"}', lambda minute: 59.0 if _is_burst(minute) else 20.0
        yield 'tidegate_consumer_missed_total{consumer="bot"}', lambda _: 0.0
        yield 'tidegate_consumer_unknown_gaps_total{consumer="bot"}', lambda _: 0.0
        for name in MAPS:
            yield (
                f'tidegate_map_removed_total{{map="{name}", reason="expired"}}',
                lambda minute: _items(minute) / 3,
            )
            yield f'tidegate_map_removed_total{{map="{name}", reason="capacity"}}', lambda _: 0.0

    def _store(self) -> Iterator[tuple[str, Figure]]:
        yield "tidegate_store_up", self._is_up
        yield "tidegate_store_partitions_down", _always(0)
        for task in ("store", "tick", "cleanup", "cleanup-signatures", "consumers"):
            yield f'tidegate_background_task_up{{task="{task}"}}', self._is_up
        for name in MAPS:
            cleaned = f'tidegate_cleanup_map_last_success_timestamp_seconds{{map="{name}"}}'
            yield cleaned, partial(_last_seconds, (self.outage,))

    def _last_seen(self, gate: str, source: str) -> Values:
        """Return when a gate saw a source last, minute by minute; None where it has not since it started."""
        seen = _read(gate, partial(_last_seconds, (PAUSES.get(source, range(0)), self.outage)))
        started = _started(gate)
        return [at if (at or 0) >= 60.0 * started(minute) else None for minute, at in enumerate(seen)]

    def _is_up(self, minute: int) -> float:
        return float(not self._is_down(minute))


def _last_seconds(pauses: tuple[range, ...], minute: int) -> float:
    """Return when something last happened that happens all the time, but in these pauses."""
    pause = next((one for one in pauses if minute in one), None)
    return 60.0 * (pause[0] if pause else minute) - 1


def _maps() -> Iterator[tuple[str, Figure]]:
    for name in MAPS:
        label, retention = f'{{map="{name}"}}', float(RETENTION[name])
        held = _share(_items, retention / 60)
        figures: dict[str, Figure] = {
            "entries": held,
            "limit_entries": _always(LIMITS[name]),
            "warn_entries": _always(0.8 * LIMITS[name]),
            "bytes": _share(held, 700),
            "limit_bytes": _always(256.0 * MIB),
            "retention_seconds": _always(retention),
            "oldest_entry_age_seconds": _always(1.1 * retention),
            "imbalance_entries": _always(0),
        }
        yield from ((f"tidegate_map_{figure}{label}", values) for figure, values in figures.items())
    yield "tidegate_cleanup_efficiency_ratio", lambda _: 0.99
    yield "tidegate_recommended_window_seconds", lambda _: 3.0
    yield "tidegate_store_used_bytes", lambda minute: (60 + 60 * _is_burst(minute)) * float(MIB)
    yield "tidegate_store_rss_bytes", lambda minute: (70 + 60 * _is_burst(minute)) * float(MIB)
    yield "tidegate_store_limit_bytes", lambda _: 512.0 * MIB
    yield "tidegate_store_may_evict", lambda _: 0.0
    explained = 'tidegate_memory_explained_bytes{process="store", part="maps"}'
    yield explained, lambda minute: (50 + 60 * _is_burst(minute)) * float(MIB)


def _process(gate: str) -> Iterator[tuple[str, Figure]]:
    started = _started(gate)
    yield "tidegate_start_time_seconds", lambda minute: 60.0 * started(minute)
    yield "tidegate_memory_growth_threshold_bytes", lambda _: 50.0 * MIB
    yield "tidegate_memory_pressure_bytes", lambda minute: (300 + 130 * _is_burst(minute)) * float(MIB)
    yield "tidegate_memory_limit_bytes", lambda _: 1024.0 * MIB
    yield "tidegate_memory_pressure_level", lambda _: 0.0
    yield "tidegate_guard_up", lambda _: 1.0
    yield 'tidegate_drill_active{drill="leak"}', _always(0)
    # Of what watches the gates, beside each of them.
    for program in ("prometheus", "alertmanager"):
        yield f"{program}_config_last_reload_successful", _always(1)
    yield 'alertmanager_notifications_failed_total{integration="webhook"}', _always(0)
    yield 'prometheus_rule_evaluation_failures_total{rule_group="tidegate-maps"}', _always(0)
    yield "redis_up", _always(1)
    # Without a drill there is no such series.
    yield 'tidegate_drill_map_fill_ratio{map="observations"}', _always(0)
    yield 'tidegate_setting_differs{setting="dedup_window_seconds"}', _always(0)
    yield 'tidegate_guard_ineffective{process="gate"}', lambda _: 0.0
    yield 'tidegate_leak_suspected{process="gate"}', lambda minute: float(_is_burst(minute))
    workers = WORKERS.get(gate, ())
    yield "tidegate_workers", lambda _: float(len(workers))
    # A worker that ends is started again at once.
    yield "tidegate_workers_up", lambda minute: len(workers) - float(minute == 700 and bool(workers))
    for process in ("gate", *workers):
        label = f'{{process="{process}"}}'
        yield f"tidegate_memory_rss_bytes{label}", _resident
        yield f"tidegate_open_fds{label}", lambda minute: 80.0 + 40 * _is_burst(minute)
        yield f"tidegate_max_fds{label}", lambda _: 4096.0
        yield f"tidegate_connections{label}", lambda minute: 20.0 + 40 * _is_burst(minute)
        yield f"tidegate_max_connections{label}", lambda _: 2048.0
    for process in workers:
        yield (
            f'tidegate_worker_start_time_seconds{{process="{process}"}}',
            lambda minute: 60.0 * started(minute),
        )


def _consumers() -> Iterator[tuple[str, Figure]]:
    is_away = range(820, 821)
    label = '{consumer="bot"}'
    yield f"tidegate_consumer_lag_seconds{label}", lambda minute: 40.0 if minute in is_away else 1.0
    yield f"tidegate_consumer_kept_seconds{label}", _always(120)
    yield f"tidegate_consumer_lag_transactions{label}", lambda minute: 900.0 if minute in is_away else 20.0
    yield f"tidegate_consumer_idle_seconds{label}", lambda minute: 40.0 if minute in is_away else 1.0
    yield "tidegate_consumer_idle_limit_seconds", lambda _: 3600.0


def _resident(minute: int) -> float:
    """Bytes of a process: a wave over the day, and bursts that come and go."""
    return (120 + 4 * math.sin(minute / 200) + 70 * _is_burst(minute)) * MIB


def _is_burst(minute: int) -> bool:
    return any(minute in burst for burst in BURSTS)


def _items(minute: int) -> float:
    """Transactions that one gate is sent in a minute: 20 to 60 a second, eight times as many in a burst."""
    per_second = 40 - 20 * math.cos(2 * math.pi * minute / MINUTES) + 2 * math.sin(minute)
    return 60 * per_second * (8 if _is_burst(minute) else 1)


def _always(value: float) -> Figure:
    return lambda _: value


def _share(figure: Figure, part: float) -> Figure:
    return lambda minute: figure(minute) * part


def _buckets(
    name: str, labels: str, bounds: tuple[tuple[float, float], ...], figure: Figure
) -> Iterator[tuple[str, Figure]]:
    """Yield the buckets of a histogram, by the share of all samples that lie up to each bound."""
    for bound, part in bounds:
        le = "+Inf" if bound == math.inf else f"{bound:g}"
        yield f'{name}{{{labels}{", " if labels else ""}le="{le}"}}', _share(figure, part)


def _named(name: str, gate: str) -> str:
    """Add job and instance to the labels of a series."""
    bare, _, labels = name.partition("{")
    own = f'job="tidegate", instance="{gate}"'
    return f"{bare}{{{own}{', ' + labels if labels else '}'}"


def _counted(gate: str, figure: Figure) -> Values:
    """Add up what comes with each minute, from 0 after each start."""
    values: Values = []
    total = 0.0
    for minute in range(MINUTES + 1):
        total = 0.0 if minute in RESTARTS[gate] else total + figure(minute)
        values.append(None if minute in RESTARTS[gate] else round(total, 3))
    return values


def _read(gate: str, figure: Figure) -> Values:
    return [None if minute in RESTARTS[gate] else figure(minute) for minute in range(MINUTES + 1)]


def _started(gate: str) -> Callable[[int], int]:
    """Return what tells the minute of the last start; the first one was a day before."""
    return lambda minute: max((at for at in RESTARTS[gate] if at <= minute), default=-MINUTES)


def _version(gate: str, minute: int) -> str:
    return RESTARTS[gate].get(_started(gate)(minute), "1.0")
