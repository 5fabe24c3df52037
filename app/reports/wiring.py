"""Connects the recorder with the parts of a running gate."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.guard.status import GuardStatus
from app.metrics.catalogue import Metrics
from app.metrics.counters import Counts
from app.models import Mode
from app.process.resident_memory import Processes
from app.reports.recorder import Figures, GuardFigures
from app.store.figures import Sizes
from app.store.live_settings import LiveSettings


@dataclass(frozen=True)
class Parts:
    """Those a sample is taken of."""

    processes: Processes
    sizes: Sizes
    live: LiveSettings
    guard_status: Callable[[], GuardStatus]
    metrics: Metrics


def figures_of(parts: Parts) -> Figures:
    """Where the figures of a sample come from."""
    return Figures(
        processes=lambda: parts.processes.rss,
        store=lambda: parts.sizes.store,
        maps=lambda: parts.sizes.maps,
        rules=lambda: parts.live.rules,
        runs=lambda: {mode: _total(parts.metrics.cleanup_runs_total, mode=mode) for mode in Mode},
        guard=lambda: _guard_figures(parts.guard_status(), parts.metrics),
    )


def _guard_figures(status: GuardStatus, metrics: Metrics) -> GuardFigures:
    return GuardFigures(status.level, status.state, _detections(metrics))


def _detections(metrics: Metrics) -> Mapping[str, int]:
    counter = metrics.leak_detections_total
    series = (sample.labels for metric in counter.collect() for sample in metric.samples)
    processes = dict.fromkeys(labels["process"] for labels in series)
    return {process: _total(counter, process=process) for process in processes}


def _total(counter: Counts, **labels: str) -> int:
    """The sum of a counter's series that have these labels."""
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    return round(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))
