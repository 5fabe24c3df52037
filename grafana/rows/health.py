"""The first row: one large value for each question, from left to right."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, at_least, figure, words
from grafana.promql import EACH_GATE, gauge, largest, quantile, rate, select, share, smallest, total
from grafana.style import Alarm

INGEST = ('method="POST"', 'route=~"/transactions|/feeds/.*"')
SEEN = f"last_over_time({select('tidegate_build_info')}[1d])"


def failing_transactions() -> str:
    """The share of valid items that was refused or failed."""
    return share(
        total(rate("transactions_total", 'outcome=~"refused|failed"')),
        total(rate("transactions_total", 'outcome!="invalid"')),
    )


def failing_requests() -> str:
    """The share of requests on transactions that was answered 5xx, however many items one has."""
    on_transactions = 'route=~"/(transactions|feeds).*"'
    return share(
        total(rate("http_requests_total", on_transactions, 'code=~"5.."')),
        total(rate("http_requests_total", on_transactions)),
    )


def firing(severity: str) -> str:
    """Alerts that fire. Those of a whole job have no instance, so the chosen instances do not matter."""
    of_job = 'namespace=~"$namespace", job=~"$job"'
    return f'ALERTS{{{of_job}, alertname=~"Tidegate.+", alertstate="firing", severity=~"{severity}"}}'


def burn_alarms() -> tuple[Alarm, ...]:
    """The error budget's thresholds."""
    return (
        Alarm("TidegateErrorBudgetBurnSlow", 0.001),
        Alarm("TidegateErrorBudgetBurnFast", 0.0144, "critical"),
    )


def panels() -> Iterator[Builder]:
    """Eight values: three on health, three on traffic, two on memory."""
    yield from _healthy()
    yield from _flowing()
    yield from _flat()


def _named(expression: str, number: int) -> str:
    """Give an expression a label of its own, so that `or` keeps it beside others."""
    return f'label_replace({expression}, "sli", "{number}", "", "")'


def _healthy() -> Iterator[Builder]:
    yield figure(
        About(
            "Gates",
            "Whether every gate that was seen in the last day answers Prometheus' scrapes.",
            "none",
            (Alarm("TidegateTargetDown"), Alarm("TidegateAbsent")),
        ),
        Query(smallest(f"{select('up')} and {EACH_GATE} {SEEN}"), "up"),
        words=words(_0=("DOWN", "red"), _1=("all up", "green")),
        graph=False,
        empty="none seen",
    )
    yield figure(
        About(
            "Store",
            "Whether every gate reaches its store; without it every transaction is answered 503.",
            "none",
            (Alarm("TidegateStoreDown"),),
        ),
        Query(smallest(gauge("store_up")), "up"),
        words=words(_0=("DOWN", "red"), _1=("up", "green")),
        graph=False,
    )
    yield figure(
        About("Alerts firing", "Alerts of Tidegate that fire now; the last row shows which, and since when."),
        Query(f"count({firing('warning|critical')}) or vector(0)", "alerts"),
        words=[*words(_0=("none", "green")), at_least(1, None, "orange")],
        graph=False,
    )


def _flowing() -> Iterator[Builder]:
    yield figure(
        About(
            "Accepted a second",
            "Transactions let through for the first time, all gates together.",
            "cps",
            (
                Alarm("TidegateIngestStopped"),
                Alarm("TidegateIngestRejected"),
                Alarm("TidegateIngestRejecting"),
                Alarm("TidegateIngestRefused"),
            ),
        ),
        Query(total(rate("transactions_total", 'outcome="accepted"')), "accepted"),
        low=0,
    )
    yield figure(
        About(
            "Failing",
            "The share refused (503) or failed, of transactions or of requests, whichever is larger.",
            "percentunit",
            burn_alarms(),
        ),
        Query(f"max({_named(failing_transactions(), 1)} or {_named(failing_requests(), 2)})", "failing"),
        low=0,
        empty="no traffic",
    )
    yield figure(
        About(
            "Ingest p99",
            "The slowest 1 % of the ingest requests take this long or longer.",
            "s",
            (Alarm("TidegateIngestSlow", 0.5),),
        ),
        Query(quantile(0.99, "http_request_duration_seconds", *INGEST), "p99"),
        low=0,
        empty="no traffic",
    )


def _flat() -> Iterator[Builder]:
    yield figure(
        About(
            "Memory of limit",
            "Memory that counts against the limit, as a share of it; of the gate nearest to its own.",
            "percentunit",
            (Alarm("TidegateMemoryNearLimit", 0.8), Alarm("TidegateMemoryPressureHard")),
        ),
        Query(largest(f"{gauge('memory_pressure_bytes')} / {gauge('memory_limit_bytes')}"), "of limit"),
        low=0,
        empty="no limit",
    )
    yield figure(
        About(
            "Leak",
            "Whether the guard suspects any process of leaking, from the suspicion until the growth is over.",
            "none",
            (Alarm("TidegateLeakSustained"), Alarm("TidegateGuardIneffective")),
        ),
        Query(largest(gauge("leak_suspected")), "suspected"),
        words=words(_0=("none", "green"), _1=("SUSPECTED", "orange")),
        graph=False,
    )
