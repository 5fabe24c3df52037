"""Where a store is, how one logs in there, and what of a URL may say so."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NoReturn
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from app.errors import ConfigError
from app.store.link import TlsNotAnswered
from app.store.tls import BOOLEANS, CERT_REQS, tls_context, why_closed
from app.store.tls import OPTIONS as TLS_OPTIONS
from app.store.url_text import tidy_url

DEFAULT_PORT = 6379
RESP2, RESP3 = 2, 3
# A call takes one round trip. Opening a connection takes up to five, each of which may take as long: one for
# TCP, two for TLS, the login, and what the server is asked first.
CONNECT_ROUND_TRIPS, MOST_CONNECT_SECONDS = 5, 10.0
TLS_PART = 0.9  # of the deadline, in which TLS is to be answered: before the deadline of the whole passes
MOST_PORT = 65_535
_SCHEMES = {
    "redis": "redis",
    "rediss": "rediss",
    "unix": "unix",
    "valkey": "redis",
    "valkeys": "rediss",
    "valkey+unix": "unix",
    "redis+unix": "unix",
}
_OPTIONS = ("client_name", "db", "protocol", *TLS_OPTIONS)
CLIENT_NAME = "tidegate"

# A peer that vanished without a word is noticed after 45 s, as redis-py does it; calls have their deadline.
_KEEPALIVE = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
)


def connect_seconds(deadline_seconds: float) -> float:
    """How long a connection may take to open, login included, where a call may take so long."""
    return max(deadline_seconds, min(CONNECT_ROUND_TRIPS * deadline_seconds, MOST_CONNECT_SECONDS))


@dataclass(frozen=True)
class StoreAddress:
    """A server's place (a socket's path, or a host and port), the login, the database, and TLS if any."""

    host: str = ""
    port: int = DEFAULT_PORT
    path: str = ""
    user: str = ""
    password: str = ""
    database: int = 0
    tls: tuple[tuple[str, str], ...] | None = None
    """The URL's options for TLS; None without TLS."""
    protocol: int = RESP2
    """The version of RESP that is spoken: 2 needs no `HELLO`, which proxies and ACLs refuse."""
    client_name: str = CLIENT_NAME
    """What the connections are called in the server's list of clients."""

    def at(self, host: str, port: int) -> "StoreAddress":
        """The address of another node of the same cluster; the login is the same there."""
        return replace(self, host=host, port=port, path="")

    async def connect(self, protocol: Callable[[], asyncio.Protocol], deadline_seconds: float) -> None:
        """Open a connection; the protocol is told of it.

        Raises:
            OSError: there is none; of it, `ssl.SSLError` and `TlsFilesUnusable`.
            TlsNotAnswered: a server is there, and answers TLS with something else or, in that time, not.
        """
        loop = asyncio.get_running_loop()
        if self.path:
            await loop.create_unix_connection(protocol, self.path)
            return
        begun = loop.time()
        context = self._tls_context  # reads the authorities the first time: up to 0.1 s on a busy machine
        spent = loop.time() - begun
        waits = None if context is None else max(TLS_PART * deadline_seconds - spent, 0.001)
        try:
            transport, _ = await loop.create_connection(
                protocol, self.host, self.port, ssl=context, ssl_handshake_timeout=waits
            )
        except (ssl.SSLError, ConnectionAbortedError) as error:  # the latter is asyncio's, after `waits`
            if context is None or getattr(error, "reason", "WRONG_VERSION_NUMBER") != "WRONG_VERSION_NUMBER":
                raise  # a certificate that is not trusted, say
            raise TlsNotAnswered(str(error)) from error
        opened = transport.get_extra_info("socket")
        for level, name, value in _KEEPALIVE:
            if hasattr(socket, name):
                opened.setsockopt(level, getattr(socket, name), value)

    async def why_closed(self, deadline_seconds: float) -> Exception | None:
        """Find out why the server closes each connection at the login; None if TLS has no part in it."""
        if self.path:
            return None
        return await why_closed(self.host, self.port, self._tls_context, deadline_seconds)

    @cached_property
    def _tls_context(self) -> ssl.SSLContext | None:
        return None if self.tls is None else tls_context(dict(self.tls))


def parse_address(url: str) -> StoreAddress:
    """Read a store's URL; the schemes are those of Redis and of Valkey.

    Raises:
        ConfigError: the scheme is unknown, no place is named, or an option is not one of ours.
    """
    name, separator, rest = tidy_url(url).partition("://")
    if not separator or name not in _SCHEMES:
        raise _refused(f"must start with one of {', '.join(s + '://' for s in _SCHEMES)}")
    if not rest.strip("/"):
        raise _refused("names no host or socket")
    scheme = _SCHEMES[name]
    try:
        parts = urlsplit(f"{scheme}://{rest}")
    except ValueError:  # `redis://[::1`
        raise _refused("has no sound address in its brackets") from None
    options = _options(parts, scheme)
    if "\0" in unquote(parts.netloc.rpartition("@")[2] + parts.path) + "".join(options.values()):
        raise _refused("no host and no name of a file holds a NUL, also as %00")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    common = StoreAddress(
        user=user,
        password=password,
        tls=tuple((key, options[key]) for key in options if key in TLS_OPTIONS)
        if scheme == "rediss"
        else None,
        protocol=int(options.get("protocol", RESP2)),
        client_name=options.get("client_name", CLIENT_NAME),
    )
    if scheme == "unix":
        path = unquote(parts.path) or _refuse("names no socket")
        return replace(common, path=path, database=_database(options.get("db", "")))
    database = _database(options.get("db", parts.path.strip("/")))
    return replace(common, host=_host(parts), port=_port(parts), database=database)


def normal_url(url: str) -> str:
    """The URL with the scheme of its kind (`redis`, `rediss`, `unix`), once it is known to be sound.

    Raises:
        ConfigError: it is not.
    """
    parse_address(url)
    scheme, _, rest = tidy_url(url).partition("://")
    return f"{_SCHEMES[scheme]}://{rest}"


def safe_url(url: str) -> str:
    """The URL without user, password and query, for logs."""
    parts = urlsplit(tidy_url(url))
    if parts.scheme.endswith("unix"):
        return f"{parts.scheme}://{parts.path}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or DEFAULT_PORT}"


def _options(parts: SplitResult, scheme: str) -> dict[str, str]:
    options = {key: values[-1] for key, values in parse_qs(parts.query, keep_blank_values=True).items()}
    for key, value in options.items():
        if key not in _OPTIONS:
            raise _refused(
                f"has no option {key!r}; those it has are {', '.join(_OPTIONS)}. "
                "Deadlines are TIDEGATE_STORE_DEADLINE_SECONDS, the rest is the gate's own affair"
            )
        if key in TLS_OPTIONS and scheme != "rediss":
            raise _refused(f"the option {key!r} needs rediss:// or valkeys://")
        if key == "client_name" and not (
            value.isascii() and value.isprintable() and value.split() == [value]
        ):
            raise _refused("client_name must be printable ASCII without spaces")
        if key == "protocol" and value not in (str(RESP2), str(RESP3)):
            raise _refused("protocol must be 2 or 3")
        if key == "ssl_cert_reqs" and value not in CERT_REQS:
            raise _refused(f"{key} must be one of {', '.join(CERT_REQS)}")
        if key == "ssl_check_hostname" and value.lower() not in BOOLEANS:
            raise _refused(f"{key} must be true or false")
    return options


def _host(parts: SplitResult) -> str:
    host = unquote(parts.hostname or "") or _refuse("names no host")
    try:
        host.encode("idna")  # as the system's resolver is asked for it
    except UnicodeError:
        raise _refused("a part of the host's name is empty or longer than 63 characters") from None
    return host


def _port(parts: SplitResult) -> int:
    try:
        port = DEFAULT_PORT if parts.port is None else parts.port
    except ValueError:
        port = 0
    return port or _refuse(f"the port must be a number from 1 to {MOST_PORT}")


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise _refused("after the host comes the number of a database, or nothing")
    return int(text or 0)


def _refuse(why: str) -> NoReturn:
    raise _refused(why)


def _refused(why: str) -> ConfigError:
    return ConfigError(f"TIDEGATE_STORE_URL: {why}")
