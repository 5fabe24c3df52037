"""Finds out whether a client has reset its connection, of which nobody is told while it is not read."""

import asyncio
import socket
from contextlib import suppress
from typing import Final

# The first byte of what the kernel tells of a connection is its state; Linux tells it.
_INFO: Final = getattr(socket, "TCP_INFO", None)
_CLOSED: Final = 7


def is_reset(transport: asyncio.BaseTransport) -> bool:
    """Tell whether the client has reset the connection, as the kernel does for one that was killed."""
    connection = transport.get_extra_info("socket")
    if connection is None or _INFO is None:
        return False
    with suppress(OSError, ValueError):  # it is closed here as well, or is no TCP
        return bool(connection.getsockopt(socket.IPPROTO_TCP, _INFO, 1)[0] == _CLOSED)
    return False
