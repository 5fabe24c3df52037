"""Tells that the store has lost what was acknowledged: counted, logged, and a warning for the next hour."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from app.metrics.catalogue import Metrics
from app.models import MapName, WarningKey, WarningName
from app.store.data_loss import Setback, SetbackKind

log = structlog.get_logger()

WARN_SECONDS = 3600.0
_WHAT = {
    SetbackKind.EMPTIED: (
        "was emptied",
        "It was flushed, or restarted without persistence, or its bookkeeping was evicted",
    ),
    SetbackKind.SET_BACK: (
        "was set back to an earlier state",
        "A replica that lagged was made the master, or an older snapshot was loaded",
    ),
    SetbackKind.KEYS_GONE: (
        "has lost keys before they were due",
        "It evicted them (maxmemory-policy has to be noeviction), or another program deleted them",
    ),
    SetbackKind.CLOCK_BACK: (
        "has a clock that was set back by more than a window",
        "Somebody set it, or a server with an earlier clock was made the master",
    ),
    SetbackKind.CLOCK_AHEAD: (
        "has a clock that was set ahead",
        "Somebody set it, or a server with a later clock was made the master",
    ),
}


@dataclass
class _Lately:
    """What was lost in one way, over setbacks that were no more than an hour apart."""

    at: float
    lost: dict[MapName, int]


class SetbackNotes:
    """Notes every setback of the store for those who operate it."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics, self._clock = metrics, clock
        self._lately: dict[SetbackKind, _Lately] = {}
        metrics.store_setbacks_total.start(*zip(SetbackKind))
        metrics.store_lost_entries_total.start(*zip(MapName))

    def note(self, setbacks: Sequence[Setback]) -> None:
        """Count and log what each partition has lost."""
        for setback in setbacks:
            self._metrics.store_setbacks_total.labels(setback.kind).inc()
            for name, count in setback.lost.items():
                self._metrics.store_lost_entries_total.labels(name).inc(count)
            moved_seconds = setback.clock_moved_ms / 1000
            log.error(
                "store lost acknowledged data",
                kind=setback.kind,
                partition=setback.partition,
                **{f"lost_{name}": count for name, count in setback.lost.items()},
                **({"clock_moved_seconds": moved_seconds} if moved_seconds else {}),
            )
            self._remember(setback)

    def warnings(self) -> Mapping[WarningKey, str]:
        """Return a sentence for each kind of setback of the last hour, by the warning's key."""
        now = self._clock()
        return {
            WarningKey(WarningName(f"store_{kind}")): _sentence(kind, lately.lost, now - lately.at)
            for kind, lately in self._lately.items()
            if now - lately.at < WARN_SECONDS
        }

    def _remember(self, setback: Setback) -> None:
        now, before = self._clock(), self._lately.get(setback.kind)
        lost = before.lost if before and now - before.at < WARN_SECONDS else {}
        summed = {name: lost.get(name, 0) + count for name, count in setback.lost.items()}
        self._lately[setback.kind] = _Lately(now, summed)


def _sentence(kind: SetbackKind, lost: Mapping[MapName, int], seconds: float) -> str:
    happened, cause = _WHAT[kind]
    amounts = ", ".join(f"{lost[name]} {name}" for name in MapName)
    return (
        f"The store {happened} ({_ago(seconds)}). Gone is what had been acknowledged, as far as is known "
        f"{amounts}. {cause}. A lost signature is accepted again, and a lost transaction cannot be read any "
        "more: have the feeds send those minutes again. This warning lasts an hour."
    )


def _ago(seconds: float) -> str:
    minutes = int(seconds / 60)
    return f"{minutes} min ago" if minutes else "less than a minute ago"
