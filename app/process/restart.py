"""A restart that the gate itself asks for: it stops as on SIGTERM, and its supervisor starts it again.

systemd (`Restart=on-failure`), Kubernetes and Compose (`restart: unless-stopped`) do so after an exit code
that is not 0. Without a supervisor the gate stays down, so nobody asks unless the operator wants it.
"""

import signal

import structlog

log = structlog.get_logger()


class ControlledRestart:
    """Notes that a restart was asked for, so that the exit code can say it."""

    def __init__(self) -> None:
        self.is_asked = False

    def ask(self, process: str) -> None:
        """Stop this process gracefully; `process` is the one that cannot be helped otherwise."""
        log.error("the gate stops to be started again: acting on a leak did not help", process=process)
        self.is_asked = True
        signal.raise_signal(signal.SIGTERM)
