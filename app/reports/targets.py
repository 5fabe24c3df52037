"""The success targets: what a report promises, and whether it was kept."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.models import MapName
from app.reports.fold import Fold
from app.reports.report_document import Outcome, Target
from app.reports.trends import LEAST_SECONDS, Trend, signed

GROWTH_LIMIT = 10.0  # MB an hour
PLATEAU_LEAST_LIMIT = 8.0  # MB
PLATEAU_SHARE = 0.10
EFFICIENCY_LIMIT = 0.90
LEAST_MINUTES = LEAST_SECONDS // 60
NO_SAMPLES = "There are no samples."

_WORST_FIRST = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS)


@dataclass(frozen=True)
class Judged:
    """A process of a gate, or of a shared store, with the trend of each of its runs that was long enough."""

    title: str
    trends: Sequence[Trend]


def worst(outcomes: Sequence[Outcome]) -> Outcome:
    """Return the worst outcome: a failure, else what is not known, which no outcome at all is too."""
    return min(outcomes, key=_WORST_FIRST.index, default=Outcome.UNKNOWN)


def judge(fold: Fold, processes: Sequence[Judged]) -> list[Target]:
    """Judge every target, in the order of the page."""
    minutes = len(set().union(*(gate.minutes for gate in fold.gates)))
    return [
        _growth(processes),
        _plateau(processes),
        _efficiency(fold, minutes),
        _signatures(fold, minutes),
        _leaks(fold, minutes),
        _emergencies(fold, minutes),
    ]


def _growth(processes: Sequence[Judged]) -> Target:
    found = [
        (_grows(trend), trend.slope.value, process.title, trend)
        for process in processes
        for trend in process.trends
    ]
    status, sentence, value = _over_processes(processes, [outcome for outcome, *_ in found]), "", None
    if found:
        _, value, title, trend = min(found, key=lambda one: (_WORST_FIRST.index(one[0]), -one[1]))
        slope = trend.slope
        sentence = (
            f"Fastest: {title} with {signed(slope.value)} MB/h "
            f"(95 %: {signed(slope.low)} to {signed(slope.high)}), over {trend.hours:.1f} h after warm-up."
        )
        if _grows(trend) is Outcome.UNKNOWN:
            sentence += " The interval is too wide to tell."
    return Target(
        name="rss_growth",
        title="Memory grows by less than 10 MB/h",
        status=status,
        value=value,
        limit=GROWTH_LIMIT,
        unit="MB/h",
        sentence=f"{sentence} {_missing(processes)}".strip(),
    )


def _grows(trend: Trend) -> Outcome:
    slope = trend.slope
    if slope.high < GROWTH_LIMIT:
        return Outcome.PASS
    return Outcome.FAIL if slope.value >= GROWTH_LIMIT and slope.low > 0 else Outcome.UNKNOWN


def _plateau(processes: Sequence[Judged]) -> Target:
    found = [
        (trend.growth - _plateau_limit(trend), process.title, trend)
        for process in processes
        for trend in process.trends
    ]
    outcomes = [Outcome.FAIL if excess > 0 else Outcome.PASS for excess, *_ in found]
    value, limit, sentence = None, PLATEAU_LEAST_LIMIT, ""
    if found:
        _, title, trend = max(found, key=lambda one: one[0])
        value, limit = trend.growth, _plateau_limit(trend)
        sentence = (
            f"{title[0].upper()}{title[1:]} went from {trend.first_quarter:.1f} MB "
            f"in the first quarter after warm-up to {trend.last_quarter:.1f} MB in the last one."
        )
    return Target(
        name="plateau",
        title="Memory stays level after warm-up",
        status=_over_processes(processes, outcomes),
        value=value,
        limit=limit,
        unit="MB",
        sentence=f"{sentence} {_missing(processes)}".strip(),
    )


def _plateau_limit(trend: Trend) -> float:
    return max(PLATEAU_LEAST_LIMIT, PLATEAU_SHARE * trend.first_quarter)


def _over_processes(processes: Sequence[Judged], outcomes: Sequence[Outcome]) -> Outcome:
    """Judge a target of each process: one of which nothing can be told keeps it from passing."""
    untold = [Outcome.UNKNOWN for process in processes if not process.trends]
    return worst([*outcomes, *untold])


def _missing(processes: Sequence[Judged]) -> str:
    untold = [process.title for process in processes if not process.trends]
    if not processes:
        return NO_SAMPLES
    if not untold:
        return ""
    return f"Known for less than {LEAST_MINUTES} minutes after warm-up: {', '.join(untold)}."


def _efficiency(fold: Fold, minutes: int) -> Target:
    due, on_time = (sum(getattr(one, name) for one in fold.maps.maps.values()) for name in ("due", "on_time"))
    ratio = on_time / due if due else None
    if ratio is None:
        status, sentence = Outcome.UNKNOWN, "Nothing came due."
    else:
        status = _when_known(ratio > EFFICIENCY_LIMIT, minutes)
        sentence = f"Of {due:,} entries that came due, {on_time:,} were removed in time." + _too_short(status)
    return Target(
        name="cleanup_efficiency",
        title="More than 90 % of due entries are removed automatically",
        status=status,
        value=ratio,
        limit=EFFICIENCY_LIMIT,
        unit="ratio",
        sentence=sentence,
    )


def _signatures(fold: Fold, minutes: int) -> Target:
    signatures = fold.maps.maps[MapName.SIGNATURES]
    is_known = signatures.last is not None
    status = _when_known(signatures.most_share < 1, minutes if is_known else 0)
    sentence = (
        f"At most {signatures.most_entries:,} entries, where {signatures.warn_entries:,} raise a warning."
        if is_known
        else NO_SAMPLES
    )
    return Target(
        name="signatures_size",
        title="Signatures stay below their warning size",
        status=status,
        value=signatures.most_entries if is_known else None,
        limit=signatures.warn_entries,
        unit="entries",
        sentence=sentence + _too_short(status) if is_known else sentence,
    )


def _leaks(fold: Fold, minutes: int) -> Target:
    leaks = sum(sum(gate.leak_detections.values()) for gate in fold.gates)
    standing = sum(gate.leak_minutes for gate in fold.gates)
    status = _when_known(leaks + standing == 0, minutes)
    seen = f"{leaks} detected, {standing} minutes under warning." if leaks + standing else "None was raised."
    return Target(
        name="leaks",
        title="No leak warning",
        status=status,
        value=leaks,
        limit=0,
        unit="count",
        sentence=seen + _too_short(status) if minutes else NO_SAMPLES,
    )


def _emergencies(fold: Fold, minutes: int) -> Target:
    runs = sum(gate.emergency_runs for gate in fold.gates)
    status = _when_known(runs == 0, minutes)
    seen = f"{runs} ran." if runs else "None ran."
    return Target(
        name="emergency_runs",
        title="No emergency cleanup",
        status=status,
        value=runs,
        limit=0,
        unit="count",
        sentence=seen + _too_short(status) if minutes else NO_SAMPLES,
    )


def _when_known(is_kept: bool, minutes: int) -> Outcome:
    """Judge a target of which a failure is one as soon as it is seen, and which takes time to pass."""
    if not is_kept:
        return Outcome.FAIL
    return Outcome.PASS if minutes >= LEAST_MINUTES else Outcome.UNKNOWN


def _too_short(status: Outcome) -> str:
    return f" Fewer than {LEAST_MINUTES} minutes are known." if status is Outcome.UNKNOWN else ""
