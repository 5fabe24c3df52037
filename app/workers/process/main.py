"""A worker's process: takes transactions in from a listener it was given, beside others like it.

The control plane (`app/workers/pool`) starts it, and tells it what to do on its standard input.
"""

import asyncio
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import structlog
import uvicorn
import uvloop

from app.api.fast_posts import FastPosts
from app.logs import configure_logs
from app.process.child_processes import path_of
from app.process.descriptors import client_connections
from app.process.heap import keep_heap_small
from app.server.config import QuietServer, server_config
from app.settings.model import load_settings
from app.workers.pool.worker_config import WorkerConfig
from app.workers.process.apps import client_app, control_app
from app.workers.process.forward import Forward
from app.workers.process.parts import WorkerParts

EXIT_REFUSED = 1
CONTROL_CONNECTIONS = 16


class _PrivateServer(uvicorn.Server):
    """Answers the control plane, beside the server of clients, which alone catches signals."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch no signals (uvicorn calls this): the server of clients catches them for both."""
        yield


def main() -> int:
    """Run until SIGTERM; returns the exit code."""
    config = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkerConfig)
    settings = load_settings(**config.settings)
    configure_logs(settings.log_format, settings.log_level)
    structlog.contextvars.bind_contextvars(worker=config.name)
    keep_heap_small()
    parts = WorkerParts(config, settings)
    forward = Forward(path_of(config.inherited.control))
    app = client_app(parts, forward)
    limit = client_connections(parts.limits.connections, has_peers=True)
    fast = FastPosts(parts.plane, parts.requests)
    clients = QuietServer(server_config(app, settings, limit, parts.metrics, lifespan=True, fast_path=fast))
    parts.connections.follow(clients.server_state.connections, limit)
    private = control_app(parts, lambda: forward.in_flight)
    control = _PrivateServer(
        server_config(private, settings, CONTROL_CONNECTIONS, parts.metrics, lifespan=False)
    )
    uvloop.run(_serve(clients, control, config))
    return 0 if clients.started else EXIT_REFUSED


async def _serve(clients: QuietServer, control: uvicorn.Server, config: WorkerConfig) -> None:
    async def answer_control() -> None:
        while not clients.started:  # noqa: ASYNC110  uvicorn has no other way to tell
            await asyncio.sleep(0.005)
        await control.serve([socket.socket(fileno=config.private)])

    private = asyncio.create_task(answer_control())
    await clients.serve([socket.socket(fileno=config.inherited.clients)])
    control.should_exit = True
    if clients.started:
        await private
    private.cancel()
