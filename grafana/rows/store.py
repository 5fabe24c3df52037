"""The store: memory, how fast it answers, how it fails."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, at_least, figure, lines, words
from grafana.promql import gauge, increase, largest, quantile, rate, smallest, total
from grafana.style import LIMIT, Alarm

# Of what must not happen: 0 is written as `none`, in green; a number from 1 on is red.
NONE_IS_GOOD = [*words(_0=("none", "green")), at_least(1, None, LIMIT)]


def panels() -> Iterator[Builder]:
    """Memory, calls and failures; then what puts acknowledged data at risk, and what was lost."""
    yield from _works()
    yield from _keeps()


def _works() -> Iterator[Builder]:
    yield lines(
        About(
            "Store memory", "What the store uses for data, what it holds resident, and its limit.", "bytes"
        ),
        Query(largest(gauge("store_used_bytes")), "used"),
        Query(largest(gauge("store_rss_bytes")), "resident"),
        Query(smallest(gauge("store_limit_bytes")), "limit"),
        width=6,
        colours={"used": "blue", "resident": "orange"},
        limits=("limit",),
    )
    yield lines(
        About(
            "Used, of the limit",
            "When the store is full, transactions are answered 503.",
            "percentunit",
            (Alarm("TidegateStoreNearLimit", 0.9), Alarm("TidegateStoreCleanup")),
        ),
        Query(largest(f"{gauge('store_used_bytes')} / {gauge('store_limit_bytes')}"), "used"),
        width=4,
        colours={"used": "blue"},
        high=1,
    )
    yield lines(
        About("Calls, p99", "The slowest 1 % of the calls of each script, as the gates see it.", "s"),
        Query(quantile(0.99, "store_call_duration_seconds", by=("script",)), "{{script}}"),
        width=4,
    )
    yield lines(
        About(
            "Errors a second",
            "Failed calls, by the way they failed.",
            "cps",
            (Alarm("TidegateStoreDown"), Alarm("TidegateStorePartlyDown"), Alarm("TidegateStoreFull")),
        ),
        Query(f"{total(rate('store_errors_total'), 'kind')} > 0", "{{kind}}"),
        width=4,
    )
    yield figure(
        About(
            "Evicted, 15 m",
            "Keys the store threw away because it was full. Any means that transactions are lost.",
            alarms=(Alarm("TidegateStoreEvicting"), Alarm("TidegateStoreMayEvict")),
        ),
        Query(f"round({largest(increase('store_evicted_keys_total', within='15m'))})", "keys"),
        width=3,
        height=8,
        words=NONE_IS_GOOD,
        graph=False,
    )
    by_kind = largest(increase("store_setbacks_total", within="15m"), "kind")
    yield figure(
        About(
            "Setbacks, 15 m",
            "Partitions of the store that lost acknowledged data, as in a failover to a replica that lagged.",
            alarms=(Alarm("TidegateStoreSetBack"),),
        ),
        Query(f"round({total(by_kind)})", "setbacks"),
        width=3,
        height=8,
        words=NONE_IS_GOOD,
        graph=False,
    )


def _keeps() -> Iterator[Builder]:
    yield figure(
        About(
            "Partitions down",
            "Of a Cluster, the partitions that a gate cannot reach; transactions of the others are taken.",
            alarms=(Alarm("TidegateStorePartlyDown"),),
        ),
        Query(largest(gauge("store_partitions_down")), "partitions"),
        width=8,
        words=NONE_IS_GOOD,
        graph=False,
    )
    yield figure(
        About(
            "When it is full",
            "What the store's `maxmemory-policy` makes it do: refuse, or throw keys away unasked.",
            "none",
            (Alarm("TidegateStoreMayEvict"),),
        ),
        Query(largest(gauge("store_may_evict")), "evicts"),
        width=8,
        words=words(_0=("refuses", "green"), _1=("MAY EVICT", "orange")),
        graph=False,
    )
    lost = largest(increase("store_lost_entries_total", within="15m"), "map")
    yield figure(
        About(
            "Entries lost, 15 m",
            "What went with the setbacks, as far as is known: the log of each gate tells more.",
            alarms=(Alarm("TidegateStoreSetBack"),),
        ),
        Query(f"round({total(lost)})", "entries"),
        width=8,
        words=NONE_IS_GOOD,
        graph=False,
    )
