"""How a gate is called where several share a store."""

import re
import socket
from typing import Protocol


class _Named(Protocol):
    """The settings that a gate's name is made of."""

    @property
    def gate_name(self) -> str | None:
        """The gate's name, if the operator has set one."""

    @property
    def port(self) -> int:
        """The port that the gate listens on."""


def gate_name(settings: _Named) -> str:
    """Name a gate for others: as it is set, or else by its host and port."""
    if settings.gate_name:
        return settings.gate_name
    return re.sub(r"[^A-Za-z0-9._:-]", "-", f"{socket.gethostname()}:{settings.port}")[-64:]
