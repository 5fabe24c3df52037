"""The bounds of all requests together, divided over the processes that take requests in."""

from typing import NamedTuple

from app.settings.model import Settings


class Share(NamedTuple):
    """What one of them may hold: of bytes and items together what the settings say, or one largest request.

    Of requests and connections twice an even share: the kernel gives a connection to whoever takes it first.
    """

    requests: int
    connections: int
    body_bytes: int
    queued_items: int
    queued_bytes: int


def share_of(settings: Settings) -> Share:
    """That of one worker: the largest request that is allowed always fits."""
    workers = settings.workers
    largest = max(settings.max_body_bytes, settings.max_inflated_bytes)
    return Share(
        requests=_uneven(settings.max_in_flight_requests, workers),
        connections=_uneven(settings.max_connections, workers),
        body_bytes=max(largest, settings.max_in_flight_bytes // workers),
        queued_items=max(settings.max_batch_items, settings.max_queued_items // workers),
        queued_bytes=max(largest, settings.max_queued_bytes // workers),
    )


def _uneven(most: int, workers: int) -> int:
    return min(most, -(-2 * most // workers))
