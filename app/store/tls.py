"""TLS to the store: the context of a URL's options, and what a server says that closes connections.

A certificate that the gate does not accept fails the handshake. What the server does not accept comes later,
or only as a closed connection: with TLS 1.3 the handshake is over for the gate before the server has seen
whether the gate has a certificate, and a port with TLS just closes a connection without. So a server that
closes the connection at the login is asked once more, without a login in the way (`why_closed`).
"""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress

OPTIONS = ("ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile")
"""The options of a URL for TLS."""
CERT_REQS = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}
BOOLEANS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


class TlsFilesUnusable(OSError):
    """A file of a certificate, key or authority is missing, unreadable, or none; the text names the file."""


class TlsNeeded(ConnectionError):
    """The server closes a connection without TLS, and answers one with it."""


def tls_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """Make a context of the options of a URL, whose values are known to be sound.

    Raises:
        TlsFilesUnusable: a file that they name cannot be used.
    """
    authorities = options.get("ssl_ca_certs")
    try:
        context = ssl.create_default_context(cafile=authorities)
    except OSError as error:  # of it, SSLError
        raise TlsFilesUnusable(f"ssl_ca_certs={authorities}: {error}") from error
    verify = CERT_REQS[options.get("ssl_cert_reqs", "required")]
    checks_host = BOOLEANS[options.get("ssl_check_hostname", "true").lower()]
    context.check_hostname = verify is not ssl.CERT_NONE and checks_host
    context.verify_mode = verify
    if "ssl_certfile" in options:
        files = options["ssl_certfile"], options.get("ssl_keyfile")
        try:
            context.load_cert_chain(*files)
        except OSError as error:
            raise TlsFilesUnusable(f"ssl_certfile={files[0]}, ssl_keyfile={files[1]}: {error}") from error
    return context


async def why_closed(
    host: str, port: int, context: ssl.SSLContext | None, seconds: float
) -> Exception | None:
    """Find out why a server closes connections at the login; None if that does not show in time.

    Without a context, a handshake tells whether the server speaks TLS. With one, the server is sent nothing
    after the handshake, so that what it says before it closes cannot be lost.
    """
    asked = context if context is not None else _trusting_context()
    with suppress(OSError):  # of them TimeoutError; SSLError is told from them below
        try:
            async with asyncio.timeout(seconds):
                reader, writer = await asyncio.open_connection(host, port, ssl=asked)
                try:
                    if context is None:
                        return TlsNeeded("the server answers connections with TLS, and closes those without")
                    await reader.read(1)
                finally:
                    writer.transport.abort()
        except ssl.SSLError as error:
            # An alert is an answer in TLS, too: the server has refused a certificate that was not sent.
            is_answer = "ALERT" in (error.reason or "")
            if context is None:
                return TlsNeeded(f"the server answers TLS with {error.reason}") if is_answer else None
            return error
    return None


def _trusting_context() -> ssl.SSLContext:
    """Return a context that takes any certificate: over it nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
