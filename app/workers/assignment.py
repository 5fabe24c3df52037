"""What a worker is told at its start, as JSON on its standard input: no secret is in its arguments."""

from pathlib import Path
from typing import Any

import msgspec


class Assignment(msgspec.Struct, frozen=True):
    """Its name, the listener's descriptor, the private directory, the store, and the service's settings."""

    name: str
    listener: int
    directory: str
    store_url: str
    settings: dict[str, Any]

    @property
    def socket(self) -> Path:
        """Where this worker answers the control plane."""
        return Path(self.directory) / f"{self.name}.sock"

    @property
    def control(self) -> Path:
        """Where the control plane answers."""
        return control_socket(Path(self.directory))


def control_socket(directory: Path) -> Path:
    """Where the control plane answers its workers."""
    return directory / "control.sock"
