"""Serves the application with uvicorn: checks who may reach it, binds, runs until told to stop."""

import gc
import ipaddress
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click
import structlog
import uvicorn

from app.errors import ConfigError
from app.http.protocol import bounded_protocol
from app.http.refusals import Limits
from app.logs import configure_logs
from app.main import create_app
from app.memory import keep_heap_small
from app.runtime import Runtime
from app.settings import Settings, load_settings, unknown_variables
from app.store.connection import safe_url

log = structlog.get_logger()

EXIT_REFUSED, EXIT_USAGE = 1, 2
BACKLOG = 2048
# Two of these, the drain and the stop of the store, fit into the ten seconds a SIGTERM may take.
GRACEFUL_SECONDS = 4
KEEP_ALIVE_SECONDS = 75
# Before the collector looks at them. Requests leave no cycles, and looking in vain at every 700 (Python's
# default) takes a fourteenth of the time of a single post.
YOUNG_OBJECTS = 10_000


def serve(overrides: dict[str, object], insecure: bool) -> int:
    """Run the gate until SIGINT or SIGTERM; returns the exit code."""
    try:
        settings = load_settings(**overrides)
        _check_exposure(settings, insecure)
        configure_logs(settings.log_format, settings.log_level)
        for name in unknown_variables():
            log.warning("unknown setting ignored", name=name)
        listener = _bind(settings)
        keep_heap_small()
        runtime = Runtime(settings)
    except ConfigError as error:
        click.echo(f"tidegate: {error}", err=True)
        return EXIT_USAGE
    except OSError as error:
        click.echo(
            f"tidegate: cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
            "Set TIDEGATE_PORT to a free port, 0 takes any.",
            err=True,
        )
        return EXIT_REFUSED
    server = _Server(
        uvicorn.Config(
            create_app(runtime),
            log_config=None,
            access_log=False,
            lifespan="on",
            loop="uvloop",
            http=bounded_protocol(_limits(settings)),
            ws="none",
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
        ),
        settings,
    )
    runtime.connections.follow(server.server_state.connections)
    server.run([listener])
    return 0 if server.started else EXIT_REFUSED


class _Server(uvicorn.Server):
    """uvicorn's server, which says where it listens, and exits 0 when it was told to stop."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, freeze what start-up left on the heap, and greet."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_OBJECTS)
        if sockets and self.started:
            _greet(self._settings, sockets[0].getsockname()[1])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Unlike uvicorn, do not raise the signal again: a stop that was asked for is a success."""
        handled = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _limits(settings: Settings) -> Limits:
    return Limits(
        header_bytes=settings.max_header_bytes,
        header_seconds=settings.receive_deadline_seconds,
        body_seconds=settings.receive_deadline_seconds,
        connections=settings.max_connections,
    )


def _check_exposure(settings: Settings, insecure: bool) -> None:
    if not settings.is_open or insecure or _is_loopback(settings.host):
        return
    raise ConfigError(
        f"{settings.host} can be reached from outside, and anybody could post or clean up: "
        "set TIDEGATE_INGEST_TOKENS and TIDEGATE_ADMIN_TOKENS (or …_FILE), "
        "listen on 127.0.0.1, or pass --insecure"
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((settings.host, settings.port))
    # Two that bind one address find out only here which of them has it.
    listener.listen(BACKLOG)
    return listener


def _greet(settings: Settings, port: int) -> None:
    place = f"[{settings.host}]" if ":" in settings.host else settings.host
    store = safe_url(settings.store_url) if settings.store_url else "embedded Valkey"
    log.info("listening", host=settings.host, port=port, store=store)
    if sys.stdout.isatty() or settings.log_format != "json":
        click.echo(
            f"Tidegate listens on http://{place}:{port} (store: {store}). Try:\n"
            f"  curl -s http://{place}:{port}/transactions -H 'Content-Type: application/json' "
            '-d \'{"signature":"5BNbFfw7","source":"helius-a","payload":{"fee":25000}}\'',
        )
