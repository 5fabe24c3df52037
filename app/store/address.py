"""Where a server of the store is, how one logs in there, and how it is connected to."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from app.store.shared_connection import TlsNotAnswered
from app.store.tls import tls_context, why_closed

DEFAULT_PORT = 6379
RESP2, RESP3 = 2, 3
# A call takes one round trip. Opening a connection takes up to five, each of which may take as long: one for
# TCP, two for TLS, the login, and what the server is asked first.
CONNECT_ROUND_TRIPS, MOST_CONNECT_SECONDS = 5, 10.0
TLS_PART = 0.9  # of the deadline, in which TLS is to be answered: before the deadline of the whole passes
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

    @property
    def shown_place(self) -> str:
        """Host and port as they stand in a URL."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def at(self, host: str, port: int) -> "StoreAddress":
        """The address of another server of the same cluster or service; the login is the same there."""
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
