"""Connects the recorder with the parts of a running gate."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.guard.guard import Guard
from app.guard.view import state_of
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
    guard: Guard
    metrics: Metrics


def figures_of(parts: Parts) -> Figures:
    """Where the figures of a sample come from."""
    return Figures(
        processes=parts.processes.read,
        store=lambda: parts.sizes.store,
        maps=lambda: parts.sizes.maps,
        rules=lambda: parts.live.rules,
        runs=lambda: {mode: _total(parts.metrics.cleanup_runs_total, mode=mode) for mode in Mode},
        guard=lambda: GuardFigures(
            level=parts.guard.level,
            leak_state=state_of(parts.guard),
            leak_detections=_detections(parts.metrics),
        ),
    )


def _detections(metrics: Metrics) -> Mapping[str, int]:
    counter = metrics.leak_detections_total
    series = (sample.labels for metric in counter.collect() for sample in metric.samples)
    processes = dict.fromkeys(labels["process"] for labels in series)
    return {process: _total(counter, process=process) for process in processes}


def _total(counter: Counts, **labels: str) -> int:
    """The sum of a counter's series that have these labels."""
    samples = (sample for metric in counter.collect() for sample in metric.samples)
    return round(sum(sample.value for sample in samples if labels.items() <= sample.labels.items()))
