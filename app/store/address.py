"""Where a server of the store is, how one logs in there, and how it is connected to."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

from app.store.link import TlsNotAnswered

DEFAULT_PORT = 6379
RESP2, RESP3 = 2, 3
TLS_PART = 0.9  # of the deadline, in which TLS is to be answered: before the deadline of the whole passes
CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}

# A peer that vanished without a word is noticed after 45 s, as redis-py does it; calls have their deadline.
_KEEPALIVE = (
    (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 5),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
)


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
            OSError: there is none; of it, `ssl.SSLError` and `FileNotFoundError` of a certificate's file.
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

    @cached_property
    def _tls_context(self) -> ssl.SSLContext | None:
        if self.tls is None:
            return None
        options = dict(self.tls)
        context = ssl.create_default_context(cafile=options.get("ssl_ca_certs"))
        verify = CERT_REQS[options.get("ssl_cert_reqs", "required")]
        context.check_hostname = (
            verify is not ssl.CERT_NONE and BOOLEANS[options.get("ssl_check_hostname", "true").lower()]
        )
        context.verify_mode = verify
        if "ssl_certfile" in options:
            context.load_cert_chain(options["ssl_certfile"], options.get("ssl_keyfile"))
        return context
