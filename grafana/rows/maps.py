"""What the maps hold, how old it is, how it leaves. Figures of the store: the largest of its gates'."""

from collections.abc import Iterator

from grafana.panels import About, Builder, Query, at_least, figure, lines, words
from grafana.promql import gauge, largest, rate, total
from grafana.style import LIMIT, MAPS, REASONS, Alarm


def panels() -> Iterator[Builder]:
    """Entries, how full and how old; then what left and why."""
    yield from _held()
    yield from _left()


def held_bytes() -> Builder:
    """The data of the maps."""
    return lines(
        About("Bytes in the maps", "Data each map holds, without the store's overhead.", "bytes"),
        Query(largest(gauge("map_bytes"), "map"), "{{map}}"),
        colours=MAPS,
        stacked=True,
    )


def _held() -> Iterator[Builder]:
    yield lines(
        About("Entries", "How many entries each map holds."),
        Query(largest(gauge("map_entries"), "map"), "{{map}}"),
        colours=MAPS,
    )
    fill = f"{gauge('map_entries')} / {gauge('map_limit_entries')}"
    of_bytes = f"{gauge('map_bytes')} / {gauge('map_limit_bytes')}"
    yield lines(
        About(
            "Filled, of the limit",
            "Entries, and bytes where there is a limit in bytes, as a share of the limit. At the limit "
            "signatures are refused, of the other maps the oldest entries go.",
            "percentunit",
            (Alarm("TidegateMapNearLimit", 0.9), Alarm("TidegateSignaturesNearLimit", 0.9)),
        ),
        Query(largest(fill, "map"), "{{map}}"),
        Query(largest(of_bytes, "map"), "{{map}}, bytes"),
        colours={**MAPS, "transactions, bytes": "yellow"},
        high=1,
    )
    yield lines(
        About(
            "Age of the oldest entry against retention",
            "An entry may get older than its retention by one bucket, for signatures a fifth of it.",
            "s",
            (Alarm("TidegateEntriesPastRetention", line="{{map}}, retention"),),
        ),
        Query(largest(gauge("map_oldest_entry_age_seconds"), "map"), "{{map}}"),
        Query(largest(gauge("map_retention_seconds"), "map"), "{{map}}, retention"),
        colours=MAPS,
        limits=tuple(f"{name}, retention" for name in MAPS),
    )


def _left() -> Iterator[Builder]:
    yield lines(
        About(
            "Removed a second, by reason",
            "`capacity`: a map was full and the oldest went before their time.",
            "cps",
            (Alarm("TidegateCapacityRemovals"),),
        ),
        Query(total(largest(rate("map_removed_total"), "map", "reason"), "reason"), "{{reason}}"),
        width=6,
        colours=REASONS,
        stacked=True,
    )
    yield held_bytes()
    yield figure(
        About(
            "Balance",
            "Added - removed - held, of the map that is furthest from 0, where it has to be.",
            alarms=(Alarm("TidegateBalanceBroken"),),
        ),
        Query(largest(f"abs({gauge('map_imbalance_entries')})"), "off by"),
        width=4,
        height=8,
        words=[*words(_0=("holds", "green")), at_least(1, None, LIMIT)],
        graph=False,
    )
    above = f"{gauge('map_entries')} > bool {gauge('map_warn_entries')}"
    yield figure(
        About(
            "Warning size",
            "Maps above the size their settings warn at.",
            alarms=(Alarm("TidegateMapAboveWarningSize"),),
        ),
        Query(total(largest(above, "map")), "maps"),
        width=3,
        height=8,
        words=[*words(_0=("below", "green")), at_least(1, None, "orange")],
        graph=False,
    )
    yield figure(
        About(
            "Gates that differ",
            "Gates that were started with other windows, retentions or limits than hold for the store.",
            alarms=(Alarm("TidegateSettingsDiffer"),),
        ),
        Query(total(largest(gauge("setting_differs"), "instance")), "gates"),
        width=3,
        height=8,
        words=[*words(_0=("none", "green")), at_least(1, None, "orange")],
        graph=False,
    )
