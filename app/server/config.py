"""uvicorn as all processes of the gate run it: one protocol, one set of limits, a heap that stays small."""

import gc
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.types import ASGIApp

from app.metrics.catalogue import Metrics
from app.server.fast_path import FastPath
from app.server.limits import Limits
from app.server.protocol import bounded_protocol
from app.settings.model import Settings

BACKLOG = 2048
# uvloop takes one connection of a listener in a turn of its loop, and while many ask a turn takes some 10 ms.
ACCEPTED_A_TURN = 8
# The drain, and what the parts of the gate do after it, fit into the ten seconds a SIGTERM may take.
GRACEFUL_SECONDS = 4
KEEP_ALIVE_SECONDS = 75
# Before the collector looks at them. Requests leave no cycles, and with 700, Python's default, looking in
# vain takes a fourteenth of the time of a single post.
YOUNG_OBJECTS = 10_000


def server_config(  # noqa: PLR0913  what differs between the servers of a gate
    app: ASGIApp,
    settings: Settings,
    connections: int,
    metrics: Metrics,
    *,
    lifespan: bool,
    fast_path: FastPath | None = None,
) -> uvicorn.Config:
    """Configure a server with at most so many connections."""
    limits = Limits(
        header_bytes=settings.max_header_bytes,
        header_seconds=settings.receive_deadline_seconds,
        body_seconds=settings.receive_deadline_seconds,
        connections=connections,
        header_count=settings.max_headers,
        send_seconds=settings.send_deadline_seconds,
        held_bytes=settings.max_connection_bytes // settings.workers,
    )
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="on" if lifespan else "off",
        loop="uvloop",
        http=bounded_protocol(limits, fast_path if settings.fast_path else None, metrics),
        ws="none",
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )


def doubled(listener: socket.socket) -> list[socket.socket]:
    """Return a listener with doubles of it, so that a server takes several new connections in a turn.

    It is for the one process that takes connections: of several, the first to wake would take them all.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_A_TURN - 1))]


class QuietServer(uvicorn.Server):
    """uvicorn's server, which exits 0 when it was told to stop."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and freeze what start-up left on the heap; the collector may have paused until here."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        gc.enable()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do not raise the signal again, as uvicorn does: a stop that was asked for is a success."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
