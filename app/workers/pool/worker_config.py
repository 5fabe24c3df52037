"""The message that tells a worker what to do: JSON on its standard input, as arguments would show secrets."""

from typing import Any

import msgspec

# Connections of one worker to the control plane: for probes, for scrapes, and for all other requests.
PROBES_AT_ONCE, SCRAPES_AT_ONCE, OTHERS_AT_ONCE = 16, 16, 64
FORWARDED_AT_ONCE = PROBES_AT_ONCE + SCRAPES_AT_ONCE + OTHERS_AT_ONCE


class Inherited(msgspec.Struct, frozen=True):
    """The descriptors a worker gets from the control plane, which has them under the same numbers."""

    clients: int
    """The listener of clients."""
    control: int
    """The descriptor through which the control plane is reached (`child_processes.path_of`)."""
    pressure: int
    """The memory of the pressure page."""
    fingerprints: int
    """The memory of the fingerprints."""


class WorkerConfig(msgspec.Struct, frozen=True):
    """A worker's name, what it inherits, the store, and the service's settings."""

    name: str
    inherited: Inherited
    store_url: str
    settings: dict[str, Any]
    store_url_file: str | None = None
    """The file from which the store's URL was read, if it was."""
    private: int = -1
    """The listener on which the worker answers the control plane; each process has one of its own."""
