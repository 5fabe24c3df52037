"""Every metric that the gate counts itself, by name; what is only read is in the rooms' own collectors.

The values of a label belong to the part that counts under them. It starts their series at 0 when it is built,
as the store's session does for its errors, so that a rate is known from the first event on.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from prometheus_client import CollectorRegistry, Gauge, Info, disable_created_metrics

from app.errors import (
    FeedsUnknown,
    MapFull,
    MemoryPressure,
    OutcomeUnknown,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StoreError,
    StoreNotReplicated,
)
from app.metrics.counters import Count, Counts, Distribution, Distributions
from app.metrics.source_limit import OTHER_SOURCE, SourceLimit
from app.models import ACCEPTED, FAILED, REFUSED, MapName, Mode, Report, TransactionOutcome, Trigger

NAMESPACE = "tidegate"
REFUSAL_REASONS = (
    Overloaded.slug,
    RateLimited.slug,
    FeedsUnknown.slug,
    MapFull.slug,
    MemoryPressure.slug,
    ShuttingDown.slug,
    OutcomeUnknown.slug,
    StoreError.slug,
    StoreNotReplicated.slug,
)
_OUTCOME_OF = {
    ACCEPTED: TransactionOutcome.ACCEPTED,
    REFUSED: TransactionOutcome.REFUSED,
    FAILED: TransactionOutcome.FAILED,
}
# Those whose first label is a source; of another process it may be past this one's limit.
_BY_SOURCE = ("source_transactions", "feed_")
SIZE_BUCKETS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000)
SECONDS_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

disable_created_metrics()


class Metrics:
    """One application's metrics in one registry, every label set known in advance started at 0."""

    def __init__(self, max_sources: int, version: str) -> None:
        self.registry = CollectorRegistry()
        self.outcomes: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter(dict.fromkeys(REFUSAL_REASONS, 0))
        self._families: dict[str, Counts | Distributions] = {}
        self._requests: dict[tuple[str, str, str], tuple[Count, Distribution]] = {}
        self.source_limit = SourceLimit(max_sources)
        self._ingest()
        self._feeds()
        self._store()
        self._cleanup()
        self._guard()
        self._http()
        self._service(version)

    def count_transactions(self, source: str, outcome: str, amount: int = 1) -> None:
        """Count under the outcome, and under the source within the limit on sources."""
        self.outcomes[outcome] += amount
        self.transactions_total.labels(outcome).inc(amount)
        self.source_transactions_total.labels(self.source_limit.label(source), outcome).inc(amount)

    def count_refusal(self, reason: str, source: str | None) -> None:
        """Count a request for transactions that was answered 503 or 429, by the name of its problem.

        `source` is given when none of its transactions was counted: then it counts as one that was refused.
        """
        self.refusals[reason] += 1
        self.ingest_refusals_total.labels(reason).inc()
        if source is not None:
            self.count_transactions(source, TransactionOutcome.REFUSED)

    def count_answers(self, answers: Mapping[tuple[str, int], int]) -> None:
        """Count what became of the transactions of a flush: how often each source got each code."""
        outcomes: dict[tuple[str, str], int] = defaultdict(int)
        for (source, code), times in answers.items():
            outcomes[source, _OUTCOME_OF.get(code, TransactionOutcome.DUPLICATE)] += times
        for (source, outcome), times in outcomes.items():
            self.count_transactions(source, outcome, times)

    def count_request(self, method: str, route: str, code: str, seconds: float) -> None:
        """Count an answered request, and how long it took."""
        child = self._requests.get((method, route, code))
        if child is None:
            child = self._requests[method, route, code] = (
                self.http_requests_total.labels(method, route, code),
                self.http_request_duration_seconds.labels(method, route),
            )
        total, duration = child
        total.inc()
        duration.observe(seconds)

    def count_cleanup(self, report: Report) -> None:
        """Count a cleanup that succeeded, and for each of its maps; a dry run is none."""
        self.cleanup_runs_total.labels(report.trigger, report.mode, "success").inc()
        self.cleanup_last_success_timestamp_seconds.labels(report.mode).set_to_current_time()
        for name in report.maps:
            self.cleanup_map_runs_total.labels(report.trigger, name, "success").inc()
            if report.mode is Mode.NORMAL:
                self.cleanup_map_last_success_timestamp_seconds.labels(name).set_to_current_time()

    def count_failed_cleanup(self, trigger: Trigger, mode: Mode, maps: Iterable[MapName]) -> None:
        """Count a cleanup of these maps that failed."""
        self.cleanup_runs_total.labels(trigger, mode, "failure").inc()
        for name in maps:
            self.cleanup_map_runs_total.labels(trigger, name, "failure").inc()

    def totals(self) -> dict[str, list[tuple[tuple[str, ...], list[float]]]]:
        """What all counters and histograms have counted, for `grow` of another."""
        return {name: family.totals() for name, family in self._families.items()}

    def grow(self, name: str, labels: tuple[str, ...], numbers: Sequence[float]) -> None:
        """Add what another process has counted."""
        if name.startswith(_BY_SOURCE):
            labels = (self.source_limit.label(labels[0]), *labels[1:])
        if name == "transactions":
            self.outcomes[labels[0]] += int(numbers[0])
        if name == "ingest_refusals":
            self.refusals[labels[0]] += int(numbers[0])
        self._families[name].labels(*labels).grow(numbers)

    def count_connection_refusal(self, reason: str, *, has_begun: bool, times: int) -> None:
        """Count so many refusals of the HTTP protocol, of requests that the application had begun or not."""
        self.connection_refusals_total.labels(reason, "yes" if has_begun else "no").inc(times)

    def start_refusals(self, reasons: Iterable[str]) -> None:
        """Start the series of the protocol's refusals at 0."""
        self.connection_refusals_total.start(*product(reasons, ("yes", "no")))

    def start_route(self, method: str, route: str, codes: Iterable[str] = ("200",)) -> None:
        """Start a route's counters at 0, since `increase` misses the first of a series that begins at 1."""
        self.http_requests_total.start(*product((method,), (route,), codes))

    def _ingest(self) -> None:
        self.transactions_total = self._counter(
            "transactions", "Transactions by what became of them", "outcome"
        )
        self.source_transactions_total = self._counter(
            "source_transactions", "Transactions by the source that delivered them", "source", "outcome"
        )
        self.ingest_refusals_total = self._counter(
            "ingest_refusals",
            "Requests for transactions answered 503 or 429, by the name of the problem",
            "reason",
        )
        self.ingest_batch_size = self._histogram(
            "ingest_batch_size", "Items of one request", SIZE_BUCKETS
        ).labels()
        self.ingest_flush_size = self._histogram(
            "ingest_flush_size", "Items of one flush to the store", SIZE_BUCKETS
        ).labels()
        self.ingest_refusals_total.start(*zip(REFUSAL_REASONS))
        self.transactions_total.start(*zip(TransactionOutcome))
        self.source_transactions_total.start(*product((OTHER_SOURCE,), TransactionOutcome))

    def _feeds(self) -> None:
        self.feed_bodies_total = self._counter("feed_bodies", "Bodies that a feed sent", "feed", "outcome")
        self.feed_documents_total = self._counter("feed_documents", "Documents in them", "feed", "shape")
        self.feed_rejected_total = self._counter(
            "feed_rejected", "Bodies and transactions of a feed that were not taken", "feed", "reason"
        )
        self.feed_skipped_total = self._counter(
            "feed_skipped", "Transactions of a feed that it is told to skip, by their kind", "feed", "kind"
        )

    def _store(self) -> None:
        self.store_up = self._gauge("store_up", "1 while the store answers")
        self.store_partitions_down = self._gauge(
            "store_partitions_down", "Partitions of a Cluster that do not serve while others do"
        )
        self.store_call_duration_seconds = self._histogram(
            "store_call_duration_seconds",
            "Seconds of one script call, as the gate sees it",
            SECONDS_BUCKETS,
            "script",
        )
        self.store_errors_total = self._counter(
            "store_errors", "Failed store calls by the way they failed", "kind"
        )
        self.store_setbacks_total = self._counter(
            "store_setbacks",
            "Partitions of the store that lost acknowledged data, by the way they did",
            "kind",
        )
        self.store_lost_entries_total = self._counter(
            "store_lost_entries", "Entries the store lost with its setbacks, as far as is known", "map"
        )

    def _cleanup(self) -> None:
        self.cleanup_runs_total = self._counter("cleanup_runs", "Cleanups", "trigger", "mode", "result")
        self.cleanup_map_runs_total = self._counter(
            "cleanup_map_runs", "Cleanups by the maps they were to clean", "trigger", "map", "result"
        )
        self.cleanup_map_last_success_timestamp_seconds = self._gauge(
            "cleanup_map_last_success_timestamp_seconds",
            "When a normal cleanup of a map last succeeded, seconds since the epoch",
            "map",
        )
        self.cleanup_duration_seconds = self._histogram(
            "cleanup_duration_seconds", "Seconds of one cleanup", SECONDS_BUCKETS, "mode"
        )
        self.cleanup_last_success_timestamp_seconds = self._gauge(
            "cleanup_last_success_timestamp_seconds",
            "When a cleanup last succeeded, seconds since the epoch",
            "mode",
        )
        self.cleanup_runs_total.start(*product(Trigger, Mode, ("success", "failure")))
        self.cleanup_duration_seconds.start(*zip(Mode))
        self.cleanup_map_runs_total.start(*product(Trigger, MapName, ("success", "failure")))
        for name in MapName:
            self.cleanup_map_last_success_timestamp_seconds.labels(name)
        for mode in Mode:
            self.cleanup_last_success_timestamp_seconds.labels(mode)

    def _guard(self) -> None:
        self.leak_detections_total = self._counter(
            "leak_detections", "Leaks detected and confirmed", "process", "tier"
        )
        self.guard_actions_total = self._counter("guard_actions", "Actions of the guard", "process", "action")
        self.memory_released_bytes_total = self._counter(
            "memory_released_bytes", "Resident bytes that came back with an action of the guard", "action"
        )
        self.memory_samples_discarded_total = self._counter(
            "memory_samples_discarded", "Readings of memory that were not used", "reason"
        )

    def _http(self) -> None:
        self.http_requests_total = self._counter(
            "http_requests", "Answered requests", "method", "route", "code"
        )
        self.http_request_duration_seconds = self._histogram(
            "http_request_duration_seconds",
            "Seconds from the end of a request to its answer: how long its body took to come is not in it",
            SECONDS_BUCKETS,
            "method",
            "route",
        )
        self.unauthorized_total = self._counter(
            "unauthorized", "Requests refused because they had no valid token", "plane"
        )
        self.connection_refusals_total = self._counter(
            "connection_refusals",
            "Requests and connections the HTTP protocol refused or cut off; begun: in http_requests too",
            "reason",
            "begun",
        )
        self.http_requests_in_flight = self._gauge("http_requests_in_flight", "Requests under way")
        self.stream_subscribers = self._gauge("stream_subscribers", "Clients that read GET /stream")

    def _service(self, version: str) -> None:
        self.alerts_received_total = self._counter(
            "alerts_received", "Alerts received, by what was done about each", "status", "action"
        )
        self.settings_changes_total = self._counter(
            "settings_changes", "Settings changed at run time, by this gate's API or by the store", "source"
        )
        self.background_task_up = self._gauge(
            "background_task_up", "1 while the task's last run succeeded", "task"
        )
        self.event_loop_lag_seconds = self._histogram(
            "event_loop_lag_seconds", "How late the event loop wakes a timer, seconds", SECONDS_BUCKETS
        ).labels()
        self.start_time_seconds = self._gauge(
            "start_time_seconds", "When this gate started, seconds since the epoch"
        )
        self.start_time_seconds.set_to_current_time()
        Info("build", "The version that runs", namespace=NAMESPACE, registry=self.registry).info(
            {"version": version}
        )

    def _counter(self, name: str, text: str, *labels: str) -> Counts:
        counts = Counts(f"{NAMESPACE}_{name}", text, labels)
        self.registry.register(counts)
        self._families[name] = counts
        return counts

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(name, text, labels, namespace=NAMESPACE, registry=self.registry)

    def _histogram(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> Distributions:
        distributions = Distributions(f"{NAMESPACE}_{name}", text, labels, bounds)
        self.registry.register(distributions)
        self._families[name] = distributions
        return distributions
