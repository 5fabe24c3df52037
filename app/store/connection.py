"""Opens a bounded client to what `TIDEGATE_STORE_URL` names, and checks what answers there."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from app.errors import ConfigError, StoreUnsupported

Client = Redis | RedisCluster
STORE_CONNECTIONS = 8
DEFAULT_PORT = 6379
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
    "redis+unix": "unix",
}
MIN_MAJOR = {"redis": 7, "valkey": 8}


@dataclass(frozen=True)
class Server:
    """What answered: `valkey` or `redis`, its version, and whether it is a cluster."""

    name: str
    version: str
    is_cluster: bool


def normal_url(url: str) -> str:
    """The URL as redis-py takes it.

    Raises:
        ConfigError: the scheme is not one of ours, or no place is named.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in _SCHEMES:
        raise ConfigError(
            f"TIDEGATE_STORE_URL: must start with one of {', '.join(s + '://' for s in _SCHEMES)}"
        )
    if not rest.strip("/"):
        raise ConfigError("TIDEGATE_STORE_URL: names no host or socket")
    if _SCHEMES[scheme] != "unix":
        _check_place(f"{_SCHEMES[scheme]}://{rest}")
    return f"{_SCHEMES[scheme]}://{rest}"


def _check_place(url: str) -> None:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0:
        raise ConfigError("TIDEGATE_STORE_URL: the port must be a number from 1 to 65535")
    if not parts.path.strip("/").isdecimal() and parts.path.strip("/"):
        raise ConfigError("TIDEGATE_STORE_URL: after the host comes the number of a database, or nothing")


def safe_url(url: str) -> str:
    """The URL without user, password and query, for logs."""
    parts = urlsplit(url)
    if parts.scheme.endswith("unix"):
        return f"{parts.scheme}://{parts.path}"
    return f"{parts.scheme}://{_place(parts.hostname or '', parts.port or DEFAULT_PORT)}"


def node_urls(client: Client, url: str) -> list[str]:
    """The URL of every node a cluster client knows, none for a single server."""
    if not isinstance(client, RedisCluster):
        return []
    parts = urlsplit(url)
    login, at, _ = parts.netloc.rpartition("@")
    nodes = (_place(node.host, node.port) for node in client.get_nodes())
    return [urlunsplit(parts._replace(netloc=f"{login}{at}{place}")) for place in nodes]


def _place(host: str, port: int | str) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def connect(url: str, deadline_seconds: float) -> tuple[Client, Server]:
    """Connect, and find out what the server is.

    A call is never repeated by the client: a claim that was carried out and repeated would find its own
    signatures and call them duplicates.

    Raises:
        StoreUnsupported: older than Redis 7.0 or Valkey 8.
        redis.exceptions.RedisError, OSError: as the library raises them.
    """
    options: dict[str, Any] = {
        "socket_timeout": deadline_seconds,
        "socket_connect_timeout": deadline_seconds,
        "retry": Retry(NoBackoff(), 0),
        "max_connections": STORE_CONNECTIONS,
        "client_name": "tidegate",
    }
    client = Redis.from_url(url, **options)
    server = await _identify(client)
    if not server.is_cluster:
        return client, server
    await client.aclose()
    cluster = RedisCluster.from_url(url, **options)
    await cluster.initialize()
    return cluster, server


async def _identify(client: Redis) -> Server:
    try:
        info = await client.info("server")
        name = str(info.get("server_name", "redis"))
        server = Server(
            name=name,
            version=str(info.get("valkey_version" if name == "valkey" else "redis_version", "0")),
            is_cluster=info.get("redis_mode", info.get("server_mode")) == "cluster",
        )
    except BaseException:
        await client.aclose()
        raise
    if int(server.version.split(".")[0]) < MIN_MAJOR.get(name, 0):
        await client.aclose()
        raise StoreUnsupported(f"{server.name} {server.version} is too old: Redis 7.0 or Valkey 8 is needed")
    return server
