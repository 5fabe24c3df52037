"""Do cleanups run, in time, and who asks for them."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, figure, lines
from grafana.promql import gauge, increase, largest, quantile, rate, smallest, total
from grafana.style import TRIGGERS, Alarm

BY_ITSELF = ('trigger=~"emergency|alert"', 'mode="emergency"', 'result="success"')


def panels() -> Iterator[Builder]:
    """How many, how well, how long."""
    yield lines(
        About(
            "Cleanups a minute, by trigger",
            "Periodic ones run every few seconds for signatures. `failed`: those of any trigger that failed.",
            "cpm",
            (Alarm("TidegateCleanupFailing"),),
        ),
        Query("60 * " + total(rate("cleanup_runs_total", 'result="success"'), "trigger"), "{{trigger}}"),
        Query("60 * " + total(rate("cleanup_runs_total", 'result="failure"')), "failed"),
        colours={**TRIGGERS, "failed": "red"},
    )
    yield lines(
        About(
            "Removed in time",
            "Of the entries due in the last hour, the share that left within retention plus one interval.",
            "percentunit",
            (Alarm("TidegateCleanupInefficient", 0.9, below=True),),
        ),
        Query(smallest(gauge("cleanup_efficiency_ratio")), "in time"),
        width=6,
        colours={"in time": "green"},
        high=1,
    )
    yield lines(
        About("Duration, p99", "The slowest 1 % of the cleanups take this long or longer.", "s"),
        Query(quantile(0.99, "cleanup_duration_seconds", by=("mode",)), "{{mode}}"),
        width=4,
        colours={"normal": "green", "emergency": "orange"},
    )
    of_maps = gauge("cleanup_map_last_success_timestamp_seconds")
    yield figure(
        About(
            "Since the last",
            "Since a normal cleanup last succeeded, of the map and on the gate where that is longest ago.",
            "s",
            (Alarm("TidegateCleanupStale", 600),),
        ),
        Query(largest(f"time() - ({of_maps} > 0)"), "since"),
        height=8,
        low=0,
    )
    yield figure(
        About(
            "Emergencies, 1 h",
            "In how many of the last 12 times five minutes the guard or an alert had emergency cleanups run.",
            alarms=(Alarm("TidegateEmergencyCleanupsRepeating", 4),),
        ),
        Query(
            f"count_over_time(({total(increase('cleanup_runs_total', *BY_ITSELF, within='5m'))} > 0)[1h:5m]) "
            "or vector(0)",
            "times five minutes",
        ),
        height=8,
        low=0,
    )
