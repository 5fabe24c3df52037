"""What answers as the store: how it is called, its name and version, and what `INFO` says."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

from app.errors import StoreUnsupported
from app.store.shared_connection import Argument, Link, ReplyError

MOST_DIGITS = 20  # of a 64-bit number; Python refuses to read thousands of them
_VERSIONS = """
local is_valkey, version = pcall(function() return server.VALKEY_VERSION end)
return {redis.REDIS_VERSION, is_valkey and version}
"""
MIN_MAJOR = {"redis": 7, "valkey": 8}


@dataclass(frozen=True)
class Server:
    """What answered: `valkey` or `redis`, its version, and how it is divided."""

    name: str
    version: str
    mode: str = "standalone"
    """Or `cluster`, or `sentinel`."""
    partitions: int = 1

    @property
    def is_cluster(self) -> bool:
        """True for a node of a Cluster."""
        return self.mode == "cluster"


class Servers(Protocol):
    """What a connected store is called through: a single server, or the masters of a Cluster."""

    async def call(self, key: str, *command: Argument, carriers: set[Link] | None = None) -> Any:
        """Send a command to the server that holds the key; `carriers` gets the connection that carried it.

        Raises:
            NotConnected: nothing was sent.
            AnswerLost, TimeoutError: it may have been carried out.
            ReplyError: the server refused it.
            hiredis.ProtocolError: what answers does not speak RESP.
        """

    async def call_each(self, *command: Argument) -> dict[str, Any]:
        """Send a command to every master; return what each answers, by its host and port, or its error.

        Raises:
            Exception: none answered; what `call` raises.
        """

    async def close(self) -> None:
        """Close every connection; calls under way fail."""


class Connector(Protocol):
    """What opens the store for a session: `StoreConnector`."""

    shown_url: str
    """The URL without user and password, for logs."""
    deadline_seconds: float
    """How long one call may take."""

    async def read_again(self) -> bool:
        """Read the URL again where it stands in a file; return whether it is another one now."""

    async def connect(self) -> tuple[Servers, Server]:
        """Connect, and find out what the server is; raises what `Servers.call` does, and StoreUnsupported."""

    async def close(self) -> None:
        """Close what stays open when a connected store is closed: the connections to its sentinels."""


async def identify(call: Callable[..., Awaitable[Any]]) -> Server:
    """Find out what answers the commands of `call`, by `INFO`, by `HELLO`, or by a script.

    A user may lack the right to the first, and Envoy passes on only commands that name a key, as of a script.

    Raises:
        StoreUnsupported: older than Redis 7.0 or Valkey 8, or no store at all.
        NotConnected, AnswerLost, TimeoutError, ReplyError, hiredis.ProtocolError: see `Servers.call`.
    """
    try:
        server = server_in(parse_info(await call("INFO", "server"), "server"))
    except ReplyError as refusal:
        try:
            server = _by_hello(await call("HELLO"))
        except ReplyError:
            server = await _by_script(call, refusal)
    major = server.version.partition(".")[0]
    if not major.isdecimal():
        raise StoreUnsupported(f"it says its version is {server.version[:40]!r}")
    if int(major) < MIN_MAJOR.get(server.name, 0):
        raise StoreUnsupported(f"{server.name} {server.version} is too old: Redis 7.0 or Valkey 8 is needed")
    return server


def parse_info(reply: Any, *sections: str) -> dict[str, Any]:
    """Read the lines of `INFO sections` by their names: numbers as such, `keys=1,expires=0` as a dictionary.

    Raises:
        StoreUnsupported: the answer is not what it has to be.
    """
    if not isinstance(reply, bytes):
        raise StoreUnsupported(f"it answers INFO {' '.join(sections)} with {type(reply).__name__}")
    lines = (line.partition(":") for line in reply.decode(errors="replace").splitlines())
    figures = {name: _value(text) for name, colon, text in lines if colon}
    if "memory" in sections and not isinstance(figures.get("used_memory"), int):
        raise StoreUnsupported("its INFO memory has no used_memory")
    return figures


def server_in(info: dict[str, Any]) -> Server:
    """Read what answered from the section `server` of its INFO."""
    name = str(info.get("server_name", "redis"))
    version = str(info.get("valkey_version" if name == "valkey" else "redis_version", ""))
    return Server(name, version, str(info.get("redis_mode", info.get("server_mode"))))


def _value(text: str) -> Any:
    if len(text) <= MOST_DIGITS and text.isascii() and text.isdecimal():
        return int(text)
    if "=" in text:
        pairs = (pair.partition("=") for pair in text.split(","))
        return {name: _value(value) for name, _, value in pairs}
    return text


async def _by_script(call: Callable[..., Awaitable[Any]], refusal: ReplyError) -> Server:
    """Ask a script for the versions; what hides all else hides a Cluster too, and is taken for one server."""
    try:
        redis, valkey = await call("EVAL", _VERSIONS, 1, "tidegate:version")
        if valkey:
            return Server("valkey", valkey.decode())
        return Server("redis", redis.decode())
    except (ReplyError, TypeError, ValueError, AttributeError):
        raise refusal from None


def _by_hello(reply: Any) -> Server:
    """Read the answer to HELLO: `[b"server", b"redis", b"version", b"7.0.15", …, b"mode", b"cluster", …]`.

    RESP3 has a map for it.
    """
    try:
        told = reply if isinstance(reply, dict) else dict(zip(reply[::2], reply[1::2], strict=True))
        name, version, mode = told[b"server"], told[b"version"], told.get(b"mode", b"standalone")
        return Server(name.decode(), version.decode(), mode.decode())
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise StoreUnsupported("it answers HELLO as no store does") from error
