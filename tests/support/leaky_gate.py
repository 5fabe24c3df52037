"""The real gate with a planted leak: `python -m tests.support.leaky_gate KIND BYTES_PER_SECOND`."""

import os
import resource
import sys
from socket import socket

import app.cli.serve
from app.runtime import Runtime
from app.settings.model import Settings
from tests.support.leaks import LEAKS, Planted


class LeakingRuntime(Runtime):
    """A runtime that leaks from the moment it takes traffic."""

    def __init__(self, settings: Settings, listener: socket, kind: str, bytes_per_second: float) -> None:
        super().__init__(settings, listener)
        self._planted = Planted(LEAKS[kind](self), bytes_per_second)

    async def start(self) -> None:
        """Start the gate, and the leak."""
        await super().start()
        self._planted.start(self._tasks)


def main() -> int:
    """Serve, leaking."""
    kind, bytes_per_second = sys.argv[1], float(sys.argv[2])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    def leaking(settings: Settings, listener: socket) -> Runtime:
        return LeakingRuntime(settings, listener, kind, bytes_per_second)

    app.cli.serve.Runtime = leaking  # type: ignore[attr-defined,assignment]  # where `run` looks it up
    return app.cli.serve.run({}, insecure=False)


if __name__ == "__main__":
    # A leak of a hundred thousand tasks ends with the process; nobody wants to hear of each.
    code = main()
    sys.stderr.flush()
    os._exit(code)
