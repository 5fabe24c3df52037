"""Who reads what was accepted, how far behind, and what was missed. Their figures are those of the store."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, lines
from grafana.promql import gauge, increase, largest, rate, smallest, total
from grafana.style import Alarm

HALF = "half of the retention"


def panels() -> Iterator[Builder]:
    """How far behind and since when; then what they got, what they missed, and who only streams."""
    yield from _behind()
    yield from _taken()


def _behind() -> Iterator[Builder]:
    yield lines(
        About(
            "Lag against retention",
            "Age of the oldest transaction that the consumer has not committed. Past the whole retention it "
            "misses what it has not leased.",
            "s",
            (Alarm("TidegateConsumerLagging", line=HALF),),
        ),
        Query(largest(gauge("consumer_lag_seconds"), "consumer"), "{{consumer}}"),
        Query(f"0.5 * {smallest(gauge('consumer_kept_seconds'))}", HALF),
        limits=(HALF,),
    )
    yield lines(
        About("Lag, transactions", "Accepted transactions that the consumer has not committed."),
        Query(largest(gauge("consumer_lag_transactions"), "consumer"), "{{consumer}}"),
    )
    yield lines(
        About(
            "Since its last call",
            "One that waits for transactions calls once a minute. One without a call for the idle limit is "
            "forgotten, and its line ends.",
            "s",
            (Alarm("TidegateConsumerGone", 300),),
        ),
        Query(smallest(gauge("consumer_idle_seconds"), "consumer"), "{{consumer}}"),
    )


def _taken() -> Iterator[Builder]:
    again = largest(rate("consumer_redelivered_total"), "consumer")
    yield lines(
        About(
            "Delivered a second",
            "Transactions handed to the consumer for the first time, and those handed out again, as their "
            "lease had run out.",
            "cps",
        ),
        Query(largest(rate("consumer_delivered_total"), "consumer"), "{{consumer}}"),
        Query(f"{again} > 0", "{{consumer}}, again"),
    )
    missed = increase("consumer_missed_total", within="10m")
    unknown = largest(increase("consumer_unknown_gaps_total", within="10m"), "consumer")
    yield lines(
        About(
            "Missed in 10 minutes",
            "Transactions that had left the store before the consumer took them. Where the store lost its "
            "data nobody knows how many; such gaps are counted one by one.",
            "short",
            (Alarm("TidegateConsumerMisses"),),
        ),
        Query(f"round({largest(missed, 'consumer')})", "{{consumer}}"),
        Query(f"round({unknown})", "{{consumer}}, gaps of unknown size"),
    )
    yield lines(
        About("Stream readers", "Clients that read `GET /stream`, on all gates."),
        Query(total(gauge("stream_subscribers")), "readers"),
        colours={"readers": "blue"},
    )
