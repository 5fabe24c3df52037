"""What comes in, what becomes of it, how long it takes."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, lines
from grafana.promql import gauge, quantile, rate, share, total
from grafana.rows.health import INGEST, burn_alarms, failing_requests, failing_transactions
from grafana.style import OUTCOMES, QUANTILES, Alarm

ANSWERS = {"2xx": "green", "4xx": "yellow", "5xx": "red"}


def panels() -> Iterator[Builder]:
    """Three rows of graphs: amounts and shares, then time and answers, then what was refused and why."""
    yield from _amounts()
    yield from _answers()
    yield from _refusals()


def _amounts() -> Iterator[Builder]:
    yield lines(
        About(
            "Transactions a second, by outcome",
            "`invalid` is the feeds' fault, `refused` a limit of the gate (503), `failed` the store.",
            "cps",
            (Alarm("TidegateIngestStopped"),),
        ),
        Query(total(rate("transactions_total"), "outcome"), "{{outcome}}"),
        width=12,
        colours=OUTCOMES,
    )
    yield lines(
        About(
            "Failing share",
            "Of the valid transactions, and of the requests on transactions. The alerts judge it over hours.",
            "percentunit",
            burn_alarms(),
        ),
        Query(failing_transactions(), "transactions"),
        Query(failing_requests(), "requests"),
        width=6,
        colours={"transactions": "blue", "requests": "purple"},
    )
    yield lines(
        About(
            "Duplicate share",
            "Of what was accepted or known. With n feeds that deliver the same it is (n - 1) / n.",
            "percentunit",
            (Alarm("TidegateDuplicateRatioUnusual"),),
        ),
        Query(
            share(
                total(rate("transactions_total", 'outcome="duplicate"')),
                total(rate("transactions_total", 'outcome=~"accepted|duplicate"')),
            ),
            "duplicates",
        ),
        width=6,
        colours={"duplicates": "blue"},
        high=1,
    )


def _answers() -> Iterator[Builder]:
    name = "http_request_duration_seconds"
    yield lines(
        About(
            "Ingest latency",
            "From the end of a request to its answer: half, 95 % and 99 % of the ingest requests take no "
            "longer. How long a client takes to send is not in it.",
            "s",
            (Alarm("TidegateIngestSlow", 0.5),),
        ),
        *(Query(quantile(int(p[1:]) / 100, name, *INGEST), p) for p in QUANTILES),
        width=12,
        colours=QUANTILES,
    )
    by_class = 'label_replace({}, "class", "${{1}}xx", "code", "(.)..")'.format(rate("http_requests_total"))
    yield lines(
        About(
            "Answers a second",
            "All requests, by the class of their status.",
            "reqps",
            (Alarm("TidegateIngestRejected"),),
        ),
        Query(total(by_class, "class"), "{{class}}"),
        width=6,
        colours=ANSWERS,
    )
    yield requests_under_way(width=6)


def _refusals() -> Iterator[Builder]:
    yield lines(
        About(
            "Requests refused a second",
            "Posts of transactions answered 503, by the problem's name, and requests without a valid token.",
            "reqps",
            (Alarm("TidegateIngestRefused"), Alarm("TidegateSignaturesFull")),
        ),
        Query(total(rate("ingest_refusals_total"), "reason"), "{{reason}}"),
        Query(total(rate("unauthorized_total"), "plane"), "no token: {{plane}}"),
        width=12,
    )
    yield lines(
        About(
            "Connections refused a second",
            "Requests that the HTTP protocol refused or cut off, by the limit or rule that they broke.",
            "reqps",
        ),
        Query(total(rate("connection_refusals_total"), "reason"), "{{reason}}"),
        width=12,
    )


def requests_under_way(width: int) -> Builder:
    """A graph that two dashboards have."""
    return lines(
        About("Requests under way", "Of all gates, those not answered yet."),
        Query(total(gauge("http_requests_in_flight")), "requests"),
        width=width,
        colours={"requests": "blue"},
    )
