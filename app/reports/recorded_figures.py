"""Connects the recorder with the parts of a running gate."""

from collections.abc import Callable, Mapping

from app.guard.status import GuardStatus
from app.metrics.catalogue import SECONDS_BUCKETS, Metrics
from app.metrics.counters import Counts
from app.models import DRILL, Mode, TransactionOutcome
from app.process.resident_memory import Processes
from app.reports.recorder import Figures, GuardFigures
from app.reports.samples import Work
from app.store.latest_figures import Sizes
from app.store.settings_in_force import LiveSettings


def figures_of(
    processes: Processes,
    sizes: Sizes,
    live: LiveSettings,
    guard_status: Callable[[], GuardStatus],
    metrics: Metrics,
) -> Figures:
    """Let the recorder read its figures from these parts."""
    return Figures(
        processes=processes.read,
        store=lambda: sizes.store,
        maps=lambda: sizes.maps,
        rules=lambda: live.rules,
        runs=lambda: {mode: _total(metrics.cleanup_runs_total, mode=mode) for mode in Mode},
        guard=lambda: _guard_figures(guard_status(), metrics),
        work=lambda: _work(metrics),
    )


def _guard_figures(status: GuardStatus, metrics: Metrics) -> GuardFigures:
    limit = status.latest.limit_bytes if status.latest else None
    return GuardFigures(status.level, status.state, _detections(metrics), limit)


def _work(metrics: Metrics) -> Work:
    """Count what was done since the start: transactions, how long posts of them took, and cleanups."""
    latencies = [0] * (len(SECONDS_BUCKETS) + 1)
    for (method, route), (*counts, _) in metrics.http_request_duration_seconds.totals():
        if method == "POST" and (route == "/transactions" or route.startswith("/feeds/")):
            latencies = [all_ + int(these) for all_, these in zip(latencies, counts, strict=True)]
    cleanups = [numbers for _, numbers in metrics.cleanup_duration_seconds.totals()]
    return Work(
        [metrics.outcomes[outcome] for outcome in TransactionOutcome],
        latencies,
        int(sum(sum(counts) for *counts, _ in cleanups)),
        sum(seconds for *_, seconds in cleanups),
    )


def _detections(metrics: Metrics) -> Mapping[str, int]:
    counter = metrics.leak_detections_total
    series = (sample.labels for metric in counter.collect() for sample in metric.samples)
    processes = dict.fromkeys(labels["process"] for labels in series)
    return {process: _total(counter, process=process) for process in processes if process != DRILL}


def _total(counter: Counts, **labels: str) -> int:
    """The sum of a counter's series that have these labels."""
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    return round(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))
