"""Sentinels that do not answer, as operators are told of them."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from app.errors import StoreError

SILENT_SECONDS = 10.0  # without an answer of a sentinel before operators are told, as longer than its restart


class Silent(NamedTuple):
    """A sentinel that has not answered for SILENT_SECONDS."""

    place: str
    """Host and port, for operators."""
    error: StoreError
    """How the last question to it failed."""


@runtime_checkable
class Watched(Protocol):
    """A store that sentinels watch."""

    def silent_sentinels(self) -> Sequence[Silent]:
        """List the sentinels that have not answered for a while."""


def silent_sentinels(servers: object) -> Sequence[Silent]:
    """Return the sentinels of a store that have not answered for a while; none of one without sentinels."""
    return servers.silent_sentinels() if isinstance(servers, Watched) else ()
