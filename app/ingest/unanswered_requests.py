"""What a process that takes transactions in holds for requests that are not answered yet."""

from typing import NamedTuple


class Held(NamedTuple):
    """Bytes of bodies, and transactions that wait for the store or are being stored, beside their limits."""

    body_bytes: int
    body_bytes_limit: int
    """What bodies may hold now: less than the setting while little is left below the memory limit."""
    queued_items: int
    queued_items_limit: int
    queued_bytes: int
    queued_bytes_limit: int
