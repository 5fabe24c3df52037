"""Who delivered a transaction when, as the records of lua/parts/observations.lua say it."""

from typing import Any, NamedTuple

from app.models import Sighting


class LookupResult(NamedTuple):
    """A transaction that is kept: the frame of its block, its place there, and who delivered it when."""

    first_seen_ms: int
    place: int
    frame: bytes
    sightings: list[Sighting]


class Delivered(NamedTuple):
    """When a transaction was accepted last, milliseconds since the epoch, and who has delivered it since."""

    first_seen_ms: int
    sightings: list[Sighting]


def parse_sightings(flat: list[Any], first_seen_ms: int, in_stretch: int) -> list[Sighting]:
    """Return the first sighting of each source since the acceptance, soonest first."""
    first: dict[str, int] = {}
    for bucket_id, record in zip(flat[::2], flat[1::2], strict=True):
        for sighting in record.decode().split(";")[1:]:
            source, _, noted = sighting.rpartition("=")
            offset, _, places = noted.partition(",")
            delay = int(bucket_id) + int(offset) - first_seen_ms
            if delay >= 0 and int(places) >> in_stretch & 1:
                first[source] = min(delay, first.get(source, delay))
    return [Sighting(source, delay) for source, delay in sorted(first.items(), key=lambda pair: pair[1])]
