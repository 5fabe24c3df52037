"""What sizes.lua answers of a partition: figures of its maps and ledger, and the entries that are gone."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from app.models import MapName, MapSizes, Reason
from app.store.acceptance_count import Fall

_FIGURES = 10  # of each map that sizes.lua returns


class PartitionSizes(NamedTuple):
    """One reading of one partition."""

    prefix: str
    now_ms: int
    """The moment of the reading, by the server's clock."""
    born_ms: int
    """When its ledger was begun."""
    is_full: bool
    """Whether the store had no memory left."""
    maps: Mapping[MapName, MapSizes]
    gone: Mapping[tuple[MapName, int], int]
    """How many entries of a bucket are gone before they are due, by map and id, of those looked at."""
    oldest: Mapping[MapName, int]
    """The id of the oldest bucket of each map, 0 if there is none."""
    fall: Fall = Fall()
    """How far the count of acceptances has fallen below what it had told this process."""


def partition_sizes(prefix: str, answer: Sequence[Any]) -> PartitionSizes:
    """Name what sizes.lua has answered for a partition."""
    now_ms, is_full, _, _, _, born_ms, gone, *numbers = answer
    names = list(MapName)
    return PartitionSizes(
        prefix,
        now_ms,
        born_ms,
        bool(is_full),
        {
            name: _map_sizes(now_ms, *numbers[place * _FIGURES : (place + 1) * _FIGURES])
            for place, name in enumerate(names)
        },
        {
            (names[place], bucket): count
            for place, bucket, count in zip(gone[::3], gone[1::3], gone[2::3], strict=True)
        },
        dict(zip(names, numbers[::_FIGURES], strict=True)),
    )


def combined_sizes(parts: Sequence[PartitionSizes]) -> dict[MapName, MapSizes]:
    """Add up the figures of all partitions."""
    return {name: _sum([part.maps[name] for part in parts]) for name in MapName}


def _map_sizes(
    now_ms: int, oldest_id: int, entries: int, held_bytes: int, added: int, *totals: int
) -> MapSizes:
    *removed, due, on_time = totals
    return MapSizes(
        entries=entries,
        bytes=held_bytes,
        added=added,
        removed=dict(zip(Reason, removed, strict=True)),
        oldest_age_seconds=max(0, now_ms - oldest_id) / 1000 if oldest_id else None,
        due=due,
        on_time=on_time,
    )


def _sum(parts: Sequence[MapSizes]) -> MapSizes:
    ages = [part.oldest_age_seconds for part in parts if part.oldest_age_seconds is not None]
    return MapSizes(
        entries=sum(p.entries for p in parts),
        bytes=sum(p.bytes for p in parts),
        added=sum(p.added for p in parts),
        removed={reason: sum(p.removed[reason] for p in parts) for reason in Reason},
        oldest_age_seconds=max(ages, default=None),
        due=sum(p.due for p in parts),
        on_time=sum(p.on_time for p in parts),
    )
