"""The bounds of all requests together, divided over the processes that take requests in.

With two workers and 1,000 requests allowed in flight, 64 MiB of bodies and 10,000 queued transactions, each
worker takes 1,000 requests, 32 MiB and 5,000 transactions. Bytes and transactions together are what the
settings say; of requests, connections and readers each may take twice an even share, since the kernel gives a
connection to whoever takes it first.
"""

from typing import NamedTuple

from app.settings.model import Settings


class ProcessLimits(NamedTuple):
    """What one process may hold."""

    requests: int
    connections: int
    body_bytes: int
    queued_items: int
    queued_bytes: int
    readers: int


def process_limits(settings: Settings) -> ProcessLimits:
    """Return what one worker may hold, or the gate without workers: one largest request always fits."""
    workers = settings.workers
    largest = max(settings.max_body_bytes, settings.max_inflated_bytes)
    return ProcessLimits(
        requests=_uneven(settings.max_in_flight_requests, workers),
        connections=_uneven(settings.max_connections, workers),
        body_bytes=max(largest, settings.max_in_flight_bytes // workers),
        queued_items=max(settings.max_batch_items, settings.max_queued_items // workers),
        queued_bytes=max(largest, settings.max_queued_bytes // workers),
        readers=_uneven(settings.stream_readers_limit, workers),
    )


def _uneven(most: int, workers: int) -> int:
    return min(most, -(-2 * most // workers))


def most_feed_bytes(settings: Settings) -> int:
    """Return the bytes of the longest body of a feed: what is more than may be held at all is too long."""
    limits = process_limits(settings)
    return min(settings.max_feed_body_bytes, limits.body_bytes, limits.queued_bytes)
