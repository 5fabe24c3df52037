"""`tidegate serve`: checks who may reach the gate, binds, and runs it with uvicorn until told to stop."""

import ipaddress
import socket
import sys

import click
import structlog
import uvicorn

from app.api.fast_posts import FastPosts
from app.cli.exit_codes import REFUSED, RESTART, USAGE
from app.cli.nonempty_option import Given
from app.errors import ConfigError, WorkerFailed
from app.logs import configure_logs
from app.main import create_app
from app.process.descriptors import client_connections, raise_limit
from app.process.heap import keep_heap_small
from app.process.systemd import READY, STOPPING, notify
from app.runtime import Runtime
from app.server.config import BACKLOG, QuietServer, doubled, server_config
from app.settings.environment import env_name, is_empty, service_links
from app.settings.model import Settings, load_settings
from app.settings.process_limits import process_limits
from app.store.store_url import safe_url
from app.workers.pool.worker_config import FORWARDED_AT_ONCE

log = structlog.get_logger()

# "Everywhere" is no address to ask.
REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@click.command()
@click.option("--host", type=Given(), help="Address to listen on. [env TIDEGATE_HOST; default 127.0.0.1]")
@click.option(
    "--port", type=int, help="Port to listen on, 0 for a free one. [env TIDEGATE_PORT; default 8000]"
)
@click.option(
    "--workers", type=int, help="Processes that take transactions in. [env TIDEGATE_WORKERS; default 1]"
)
@click.option(
    "--log-format", type=click.Choice(["auto", "json", "console"]), help="[env TIDEGATE_LOG_FORMAT]"
)
@click.option(
    "--insecure", is_flag=True, help="Listen beyond loopback although not all access needs a token."
)
def serve(insecure: bool, **given: object) -> None:
    """Run the gate until Ctrl-C or SIGTERM; all else is set by TIDEGATE_… variables."""
    sys.exit(run({name: value for name, value in given.items() if value is not None}, insecure))


class _CannotListen(OSError):
    """The address of the settings cannot be bound."""


def run(overrides: dict[str, object], insecure: bool) -> int:
    """Run the gate until SIGINT or SIGTERM; returns the exit code."""
    try:
        settings = load_settings(**overrides)
        _check_exposure(settings, insecure)
        configure_logs(settings.log_format, settings.log_level)
        if links := service_links():
            log.info("addresses of services ignored", names=links)
        if not settings.store_url and is_empty(env_name("store_url")):
            log.warning("TIDEGATE_STORE_URL is empty, which means an embedded store")
        raise_limit()
        connections = client_connections(process_limits(settings).connections, has_peers=settings.workers > 1)
        listener = _bind(settings)
        keep_heap_small()
        runtime = Runtime(settings, listener)
    except ConfigError as error:
        click.echo(f"tidegate: {error}", err=True)
        return USAGE
    except OSError as error:
        click.echo(f"tidegate: {_told(error, settings)}", err=True)
        return REFUSED
    app = create_app(runtime)
    fast = FastPosts(runtime.plane, runtime.requests)
    most = _connections(settings, connections)
    config = server_config(app, settings, most, runtime.metrics, lifespan=True, fast_path=fast)
    server = _Server(config, runtime, listener, connections)
    runtime.connections.follow(server.server_state.connections, most)
    server.run([runtime.workers.listener] if runtime.workers.listener else doubled(listener))
    if runtime.restart.is_asked:
        return RESTART
    return 0 if server.served else REFUSED


def _connections(settings: Settings, of_clients: int) -> int:
    """Return how many connections this process takes: of clients, or of its workers where it has some."""
    if settings.workers == 1:
        return of_clients
    return settings.workers * FORWARDED_AT_ONCE


class _Server(QuietServer):
    """Greets when it serves, and has its workers, if any, started before and stopped first."""

    def __init__(
        self, config: uvicorn.Config, runtime: Runtime, listener: socket.socket, connections: int
    ) -> None:
        super().__init__(config)
        self._runtime, self._listener, self._connections = runtime, listener, connections
        self.served = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, with the workers, who get the listener, greet, and tell systemd."""
        await super().startup(sockets)
        if not self.started:
            return
        try:
            await self._runtime.start_workers()
        except (WorkerFailed, ConfigError, OSError) as error:
            click.echo(f"tidegate: the workers cannot be started: {error}", err=True)
            self.should_exit = True
            await self.shutdown(sockets)
            return
        self.served = True
        _greet(self._runtime.settings, self._listener.getsockname()[1], self._connections)
        notify(READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the workers finish, who need the control plane, then stop that."""
        notify(STOPPING)
        if self._listener not in (sockets or ()):
            self._listener.close()
        await self._runtime.stop_workers()
        await super().shutdown(sockets)


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
    try:
        listener.bind((settings.host, settings.port))
        # Two that bind one address find out only here which of them has it.
        listener.listen(BACKLOG)
    except OSError as error:
        raise _CannotListen(error.errno, error.strerror) from None
    return listener


def _told(error: OSError, settings: Settings) -> str:
    """Say why the gate cannot be started: by its address, or by what the system refused besides."""
    if not isinstance(error, _CannotListen):
        return f"cannot be started: {error}"
    return (
        f"cannot listen on {settings.host}:{settings.port}: {error.strerror}. "
        "Set TIDEGATE_PORT to a free port, 0 takes any."
    )


def _greet(settings: Settings, port: int, connections: int) -> None:
    store = safe_url(settings.store_url) if settings.store_url else "embedded Valkey"
    log.info(
        "listening",
        host=settings.host,
        port=port,
        store=store,
        workers=settings.workers,
        connections=connections,
    )
    if sys.stdout.isatty() or settings.log_format != "json":
        click.echo(greeting(settings, port, store))


def greeting(settings: Settings, port: int, store: str) -> str:
    """Say what to try first, in a line for any shell, which names a token's variable and shows no token."""
    needs_token = settings.ingest_tokens or settings.ingest_tokens_file
    first = " First: export TIDEGATE_TOKEN=<an ingest token>" if needs_token else ""
    token = '-H "Authorization: Bearer $TIDEGATE_TOKEN" ' if needs_token else ""
    to_ask = _url(REACHED_AT.get(settings.host, settings.host), port)
    return (
        f"Tidegate listens on {_url(settings.host, port)} (store: {store}). Try:{first}\n"
        f"  curl -s -w '\\n' '{to_ask}/transactions' {token}"
        "-H 'Content-Type: application/json' "
        '-d \'{"signature":"5BNbFfw7","source":"helius-a","payload":{"fee":25000}}\''
    )


def _url(host: str, port: int) -> str:
    """Write an address with an IPv6 host in brackets, the `%` before its zone escaped (RFC 6874)."""
    host = f"[{host.replace('%', '%25')}]" if ":" in host else host
    return f"http://{host}:{port}"
